"""The format arrow: many rows in one record."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typed_columns import struct_arrays, told

from ingest.connectors import HEADERS, TIMESTAMP, Records
from ingest.errors import FormatError
from ingest.formats import Decoded, format_named
from ingest.formats.format import RejectedInside

ARROW = format_named("arrow")


def rows_of(count: int, **columns: Any) -> Records:
    kind = pa.struct([("n", pa.int64()), ("s", pa.string())])
    return Records(value=pa.array([{"n": n, "s": "x" * 50} for n in range(count)], kind), topic="t", **columns)


def stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return bytes(sink.getvalue())


def decode(*streams: bytes | None, schema: pa.Schema | None = None, **columns: Any) -> Decoded:
    return ARROW.decode(Records(value=pa.array(streams, pa.binary()), **columns), schema=schema)


@given(struct_arrays(max_size=30), st.integers(2_000, 20_000))
@settings(max_examples=60)
def test_rows_come_back_exactly_and_no_record_is_too_long(column: pa.StructArray, max_bytes: int) -> None:
    encoded = ARROW.encode(Records(value=column), max_bytes=max_bytes)
    assert all(len(item) <= max_bytes for item in encoded.records.value.to_pylist())
    refused = {row for each in encoded.rejected for row in each.rows.to_pylist()}
    good = column.take(pa.array([row for row in range(len(column)) if row not in refused], pa.int64()))
    decoded = ARROW.decode(encoded.records)
    assert not decoded.rejected
    assert told(decoded.records.value) == told(good)


def test_many_rows_are_cut_into_records_of_the_right_size() -> None:
    encoded = ARROW.encode(rows_of(10_000), max_bytes=100_000)
    sizes = [len(item) for item in encoded.records.value.to_pylist()]
    assert max(sizes) <= 100_000
    assert len(sizes) <= 9
    assert ARROW.decode(encoded.records).records.value.to_pylist() == rows_of(10_000).value.to_pylist()


def test_each_row_keeps_its_key_timestamp_and_headers() -> None:
    headers = [[{"key": "h", "value": b"1"}], [], None]
    records = rows_of(
        3,
        key=pa.array(["a", None, "c"]),
        timestamp=pa.array([5, None, 3], TIMESTAMP),
        headers=pa.array(headers, HEADERS),
    )
    encoded = ARROW.encode(records).records
    assert encoded.key is None
    assert encoded.timestamp is not None
    assert encoded.timestamp.cast(pa.int64()).to_pylist() == [5]
    found = ARROW.decode(encoded).records
    assert found.key is not None
    assert found.timestamp is not None
    assert found.headers is not None
    assert found.key.to_pylist() == [b"a", None, b"c"]
    assert found.timestamp.cast(pa.int64()).to_pylist() == [5, None, 3]
    assert found.headers.to_pylist() == headers


def test_rows_without_their_own_have_what_their_record_has() -> None:
    one = ARROW.encode(rows_of(2)).records.value[0].as_py()
    two = ARROW.encode(rows_of(1, timestamp=pa.array([9], TIMESTAMP))).records.value[0].as_py()
    carried = pa.array([[{"key": "c", "value": b"0"}], []], HEADERS)
    decoded = decode(
        one, two, offsets=pa.array([40, 41]), timestamp=pa.array([7, 8], TIMESTAMP), headers=carried, partition=3
    )
    found = decoded.records
    assert found.offsets is not None
    assert found.timestamp is not None
    assert found.headers is not None
    assert decoded.inside is not None
    assert found.offsets.to_pylist() == [40, 40, 41]
    assert found.timestamp.cast(pa.int64()).to_pylist() == [7, 7, 9]
    assert found.headers.to_pylist() == [carried[0].as_py()] * 2 + [[]]
    assert decoded.inside.to_pylist() == [0, 1, 0]
    assert found.partition == 3


def test_headers_of_the_record_stand_before_those_of_its_rows() -> None:
    own = pa.array(
        [[{"key": "a", "value": b"1"}], [], [{"key": "b", "value": None}, {"key": "c", "value": b""}]], HEADERS
    )
    encoded = ARROW.encode(rows_of(3, headers=own)).records
    carried = [{"key": "x", "value": b"0"}, {"key": "y", "value": b"0"}]
    decoded = decode(encoded.value[0].as_py(), headers=pa.array([carried], HEADERS)).records
    assert decoded.headers is not None
    assert decoded.headers.to_pylist() == [[*carried, *row] for row in own.to_pylist()]


def test_common_headers_go_to_the_record() -> None:
    encoded = ARROW.encode(rows_of(2, common_headers=(("file", b"a.log"),)))
    assert encoded.records.common_headers == (("file", b"a.log"),)


def test_one_row_above_the_limit_is_refused_alone() -> None:
    column = pa.array([{"s": "x"}, {"s": "y" * 5000}, {"s": "z"}])
    encoded = ARROW.encode(Records(value=column), max_bytes=2000)
    assert encoded.rejected[0].rows.to_pylist() == [1]
    assert ARROW.decode(encoded.records).records.value.to_pylist() == [{"s": "x"}, {"s": "z"}]


def test_a_large_dictionary_does_not_make_small_rows_too_long() -> None:
    words = pa.array([f"word {n} " + "x" * 80 for n in range(200)]).dictionary_encode()
    encoded = ARROW.encode(Records(value=pa.StructArray.from_arrays([words], names=["w"])), max_bytes=4000)
    assert not encoded.rejected
    decoded = ARROW.decode(encoded.records).records.value
    assert [row["w"] for row in decoded.to_pylist()] == words.to_pylist()


def test_text_is_refused_with_a_hint() -> None:
    with pytest.raises(FormatError, match="lines"):
        ARROW.encode(Records(value=pa.array(["a line"])))


def test_encoding_casts_to_the_schema_and_names_the_rows_of_the_input() -> None:
    column = pa.array([{"a": 2**40}, {"a": 1}])
    encoded = ARROW.encode(Records(value=column), schema=pa.schema([("a", pa.int32()), ("b", pa.string())]))
    assert encoded.rejected[0].rows.to_pylist() == [0]
    assert ARROW.decode(encoded.records).records.value.to_pylist() == [{"a": 1, "b": None}]


def test_records_of_older_schemas_are_read_by_the_newest() -> None:
    old = ARROW.encode(Records(value=pa.array([{"a": 1}, {"a": 2}]))).records.value[0].as_py()
    new = ARROW.encode(Records(value=pa.array([{"a": 1.5, "b": "x"}]))).records.value[0].as_py()
    decoded = decode(old, new, schema=pa.schema([("a", pa.float64()), ("b", pa.string())]))
    assert decoded.records.value.to_pylist() == [{"a": 1.0, "b": None}, {"a": 2.0, "b": None}, {"a": 1.5, "b": "x"}]


def test_one_row_that_does_not_fit_leaves_the_rows_beside_it() -> None:
    streams = ARROW.encode(Records(value=pa.array([{"a": 1}, {"a": 2**60 + 1}, {"a": 3}]))).records.value[0].as_py()
    decoded = decode(b"junk", streams, schema=pa.schema([("a", pa.float64())]))
    assert decoded.records.value.to_pylist() == [{"a": 1.0}, {"a": 3.0}]
    assert decoded.inside is not None
    assert decoded.inside.to_pylist() == [0, 2]
    junk, inside = decoded.rejected
    assert junk.rows.to_pylist() == [0]
    assert isinstance(inside, RejectedInside)
    assert (inside.rows.to_pylist(), inside.inside.to_pylist()) == ([1], [1])


def test_a_stream_of_anyone_else_is_its_table() -> None:
    table = pa.table({"a": [1, 2, 3], "key": ["x", None, "z"]})
    assert decode(stream(table)).records.value.to_pylist() == table.to_pylist()


def test_a_null_record_is_one_null_row() -> None:
    decoded = decode(ARROW.encode(rows_of(1)).records.value[0].as_py(), None)
    assert decoded.records.value.to_pylist() == [{"n": 0, "s": "x" * 50}, None]


def test_no_rows_make_no_records_and_back() -> None:
    encoded = ARROW.encode(rows_of(0))
    assert len(encoded.records) == 0
    assert len(decode(schema=pa.schema([("a", pa.int8())])).records) == 0
    assert len(decode(stream(pa.table({"a": pa.array([], pa.int8())}))).records) == 0


def test_a_stream_cut_anywhere_is_refused() -> None:
    whole = ARROW.encode(rows_of(3)).records.value[0].as_py()
    for length in range(len(whole)):
        decoded = decode(whole[:length], whole)
        assert decoded.records.value.to_pylist() == rows_of(3).value.to_pylist()
        assert [each.rows.to_pylist() for each in decoded.rejected] == [[0]]


def test_a_stream_with_any_byte_changed_does_no_harm() -> None:
    whole = ARROW.encode(rows_of(3)).records.value[0].as_py()
    schema = pa.schema([("n", pa.int64()), ("s", pa.string())])
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 0xFF
        decoded = decode(bytes(changed), whole, schema=schema)
        decoded.records.value.validate(full=True)
        assert decoded.records.value.to_pylist()[-3:] == rows_of(3).value.to_pylist()
