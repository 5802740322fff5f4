"""JSON lines, plain lines, Parquet and Avro objects."""

from __future__ import annotations

import bz2
import datetime
import gzip
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import backports.zstd
import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from landing import Landing

from ingest.formats.avro_binary import put_long
from ingest.sources.files.avro_reader import AvroReader
from ingest.sources.files.avro_types import arrow_type
from ingest.sources.files.content import Content
from ingest.sources.files.parquet_reader import ParquetReader
from ingest.sources.files.pieces import ObjectReader, Unreadable
from ingest.sources.files.text_reader import TextReader


def drained(reader: ObjectReader, max_bytes: int = 1 << 20) -> list[Any]:
    found = []
    while (piece := reader.read(max_bytes)) is not None:
        found += piece.value.to_pylist()
    return found


@given(st.binary(max_size=60).map(lambda text: text.replace(b"\xff", b"\n")), st.integers(1, 20))
def test_lines_are_cut_at_line_feeds_and_nowhere_else(content: bytes, max_bytes: int) -> None:
    content = b"-" + bytes(byte & 0x7F for byte in content)
    reader = TextReader(Content(io.BytesIO(content), 0), "lines", {}, 1000)
    expected = content.split(b"\n")
    expected = expected[:-1] if not expected[-1] else expected
    assert [line.encode() for line in drained(reader, max_bytes)] == [line.removesuffix(b"\r") for line in expected]


@pytest.mark.parametrize("squeeze", [bytes, gzip.compress, bz2.compress, backports.zstd.compress])
def test_a_restart_inside_an_object_goes_on_at_the_next_record(squeeze: Any, tmp_path: Path) -> None:
    landing = Landing(tmp_path, batch_bytes=500, format="json")
    rows = [{"n": number, "pad": "x" * (number % 13)} for number in range(300)]
    landing.put("rows", squeeze("".join(json.dumps(row) + "\n" for row in rows).encode()))
    polls = 0
    while len(landing.lines) < 300:
        landing.poll()
        landing.stop()
        polls += 1
    assert landing.lines == rows
    assert polls > 5


def test_a_line_that_is_no_json_is_told_with_its_number(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    landing.put("a.jsonl", '{"n": 1}\n\n{"n": \n[2]\n{"n": 3}')
    assert landing.settle() == [{"n": 1}, {"n": 3}]
    assert [reason.split(":")[0] for reason in landing.reasons] == ["line 3", "line 4"]
    assert landing.dead_lines == [b'{"n": ', b"[2]"]


def test_a_line_that_is_too_long_does_not_fill_the_memory(tmp_path: Path) -> None:
    landing = Landing(tmp_path, max_record=1000, batch_bytes=64 * 1024)
    landing.put("a.txt", b"short\n" + b"y" * 3_000_000 + b"\nafter\n")
    assert landing.settle() == ["short", "after"]
    assert landing.reasons == ["line 2: a record of 3000000 bytes, cut to 1000"]


def parquet(table: pa.Table, group: int) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=group)
    return sink.getvalue()


@pytest.mark.parametrize("group", [7, 100, 5000])
def test_parquet_goes_on_inside_a_row_group(group: int) -> None:
    table = pa.table({"n": range(1000), "text": [f"text {number}" for number in range(1000)]})
    content = parquet(table, group)
    rows: list[Any] = []
    place: dict[str, Any] = {}
    while (piece := ParquetReader(io.BytesIO(content), place).read(2000)) is not None:
        assert piece.at.to_pylist() == list(range(len(rows), len(rows) + len(piece.value)))
        rows += piece.value.to_pylist()
        place = dict(piece.place)
    assert rows == table.to_pylist()


def test_a_row_group_is_not_taken_into_memory_whole() -> None:
    wide = pa.table({"text": [f"{number:08}" * 100 for number in range(40_000)]})
    reader = ParquetReader(io.BytesIO(parquet(wide, 40_000)), {})
    before = pa.total_allocated_bytes()
    largest = 0
    count = 0
    while (piece := reader.read(200_000)) is not None:
        count += len(piece.value)
        largest = max(largest, pa.total_allocated_bytes() - before)
    assert count == 40_000
    assert largest < wide.nbytes / 2


def test_a_damaged_row_group_is_told_after_what_is_whole(tmp_path: Path) -> None:
    table = pa.table({"n": range(1000)})
    content = bytearray(parquet(table, 500))
    start = pq.ParquetFile(io.BytesIO(content)).metadata.row_group(1).column(0).dictionary_page_offset
    content[start : start + 200] = b"\xff" * 200
    landing = Landing(tmp_path, batch_bytes=2000)
    landing.put("a.parquet", bytes(content))
    found = landing.settle()
    assert [row["n"] for row in found] == list(range(500))
    assert landing.errors == ["ObjectUnreadable"]
    assert landing.reasons[0].startswith("after row 500")


SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "row",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "name", "type": ["null", "string"]},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "day", "type": ["null", {"type": "int", "logicalType": "date"}]},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "more", "type": {"type": "map", "values": "double"}},
        {"name": "kind", "type": {"type": "enum", "name": "kinds", "symbols": ["A", "B"]}},
        {"name": "again", "type": ["null", "kinds"]},
        {"name": "uuid", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "inner", "type": {"type": "record", "name": "inner", "fields": [{"name": "x", "type": "int"}]}},
    ],
}


def avro_row(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "name": None if number % 3 else f"name {number}",
        "price": Decimal(number).scaleb(-2),
        "at": datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC) + datetime.timedelta(microseconds=number),
        "day": datetime.date(2026, 1, 31),
        "tags": ["x"] * (number % 3),
        "more": {"a": 0.5},
        "kind": "B",
        "again": "A",
        "uuid": "123e4567-e89b-12d3-a456-426614174000",
        "inner": {"x": number},
    }


def avro(rows: list[Any], schema: Any = SCHEMA, **options: Any) -> bytes:
    sink = io.BytesIO()
    if options.get("codec") == "zstandard":
        # fastavro needs another library for it: the blocks are framed by hand
        return zstandard(rows, schema)
    fastavro.writer(sink, schema, rows, **options)
    return sink.getvalue()


def zstandard(rows: list[Any], schema: Any) -> bytes:
    plain = avro(rows, schema, sync_interval=2000)
    header = bytearray(b"Obj\x01\x04")
    for text in (b"avro.schema", json.dumps(schema).encode(), b"avro.codec", b"zstandard"):
        put_long(len(text), header)
        header += text
    header += b"\0" + b"s" * 16
    for block in fastavro.block_reader(io.BytesIO(plain)):
        squeezed = backports.zstd.compress(block.bytes_.getvalue())
        put_long(block.num_records, header)
        put_long(len(squeezed), header)
        header += squeezed + b"s" * 16
    return bytes(header)


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "zstandard"])
def test_avro_goes_on_inside_a_block(codec: str) -> None:
    content = avro([avro_row(number) for number in range(200)], codec=codec, sync_interval=2000)
    rows: list[Any] = []
    place: dict[str, Any] = {}
    while (piece := AvroReader(io.BytesIO(content), place).read(700)) is not None:
        assert piece.at.to_pylist() == list(range(len(rows), len(rows) + len(piece.value)))
        rows += piece.value.to_pylist()
        place = dict(piece.place)
    assert [row | {"more": dict(row["more"])} for row in rows] == [avro_row(number) for number in range(200)]


def test_what_our_sink_writes_our_source_reads(tmp_path: Path) -> None:
    from file_tables import FileTable

    table = FileTable(tmp_path, {"url": "in", "format": "avro", "compression": "bz2"})
    task = table.open()
    table.write(task, 0, [{"n": number, "t": [{"x": "y"}]} for number in range(10)])
    task.close()
    landing = Landing(tmp_path, min_age=0)
    assert landing.settle() == [{"n": number, "t": [{"x": "y"}]} for number in range(10)]


@given(st.integers(0, 5000), st.binary(min_size=1, max_size=4))
@example(4117, b" ")
def test_avro_that_is_damaged_anywhere_is_unreadable_or_reads(at: int, noise: bytes) -> None:
    content = bytearray(AVRO)
    at %= len(content)
    content[at : at + len(noise)] = noise
    try:
        drained(AvroReader(io.BytesIO(bytes(content)), {}))
    except Unreadable:
        return


AVRO = avro(
    [{"id": number, "name": "x"} for number in range(20)],
    {"type": "record", "name": "r", "fields": SCHEMA["fields"][:2]},
)


@pytest.mark.parametrize("cut", [0, 3, 10, len(AVRO) // 2, len(AVRO) - 1])
def test_avro_that_is_cut_off_is_unreadable(cut: int) -> None:
    with pytest.raises(Unreadable):
        drained(AvroReader(io.BytesIO(AVRO[:cut]), {}))


def test_avro_types_without_a_column_are_named() -> None:
    node = {"type": "record", "name": "node", "fields": [{"name": "next", "type": ["null", "node"]}]}
    with pytest.raises(Unreadable, match=r"next.*node"):
        arrow_type(node)
    with pytest.raises(Unreadable, match="union"):
        arrow_type(["int", "string"])
