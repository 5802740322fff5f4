"""Avro by columns says what Avro by rows says, and fastavro reads the files."""

from __future__ import annotations

import io

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from file_tables import FileTable, read_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from lake import delivery
from typed_columns import struct_arrays, told

from ingest.connectors import Records
from ingest.formats import format_named
from ingest.formats.avro_binary import put_long
from ingest.formats.avro_schema import with_writers
from ingest.sinks.files.avro_columns import avro_rows, varints
from ingest.sinks.files.avro_files import AvroFiles
from ingest.sinks.files.settings import FilesSettings
from ingest.sinks.lake.store import Draft

_NUMBER = b"\0\0\0\0\7"


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-300, 300), max_size=20))
def test_a_number_takes_the_bytes_that_it_takes_alone(numbers: list[int]) -> None:
    expected = []
    for number in numbers:
        out = bytearray()
        put_long(number, out)
        expected.append(bytes(out))
    assert varints(np.array(numbers, np.int64)).to_pylist() == expected


@given(struct_arrays())
@settings(max_examples=100)
def test_what_columns_write_the_reader_of_rows_reads(column: pa.StructArray) -> None:
    column = column.drop_null()
    batch = pa.RecordBatch.from_arrays(column.flatten(), schema=pa.schema(list(column.type)))
    prepared = AvroFiles(FilesSettings(url="x", format="avro")).prepare(batch)
    refused = [item.row for item in prepared.refused]
    good = column.take(pa.array(np.delete(np.arange(len(column)), refused)))
    texts = pa.array([_NUMBER + row for row in prepared.batch.column(0).to_pylist()], pa.binary())
    decoded = format_named("avro").decode(Records(value=texts), schema=with_writers(batch.schema, 7, {}))
    assert not decoded.rejected
    assert told(decoded.records.value) == told(good)


def test_only_rows_that_fit_no_type_are_refused() -> None:
    dates = pa.array([0, 86_400_000, 5, None], pa.int64()).view(pa.date64())
    times = pa.array([2**62, 1, 2, 3], pa.int64()).view(pa.timestamp("s"))
    prepared = AvroFiles(FilesSettings(url="x", format="avro")).prepare(pa.record_batch({"d": dates, "t": times}))
    assert [item.row for item in prepared.refused] == [0, 2]
    assert prepared.batch.column(0).to_pylist() == [b"\x02\x02\x02\xd0\x0f", b"\x00\x02\xf0\x2e"]


def test_rows_are_joined_without_a_step_per_row_of_a_slice() -> None:
    batch = pa.record_batch({"a": pa.array(range(10)), "b": pa.array([[1, None], None] * 5, pa.list_(pa.int8()))})
    assert avro_rows(batch.slice(3, 4)).equals(avro_rows(batch).slice(3, 4))


class Memory(Draft):
    """A draft that a test looks into."""

    def __init__(self) -> None:
        super().__init__("a.avro")
        self.content = bytearray()

    def _append(self, view: memoryview) -> None:
        self.content += view

    def finish(self) -> None:  # type: ignore[override]
        return

    def _remove(self) -> None:
        return


@pytest.mark.parametrize("compression", ["none", "gzip", "bz2", "zstd"])
def test_files_of_many_blocks_are_read_by_fastavro(compression: str) -> None:
    form = AvroFiles(FilesSettings(url="x", format="avro", compression=compression))  # type: ignore[arg-type]
    batch = pa.record_batch({"id": pa.array(range(50_000)), "text": pa.array([f"text {i}" for i in range(50_000)])})
    prepared, draft = form.prepare(batch), Memory()
    encoder = form.encoder(draft, prepared.batch.schema)
    encoder.write(pa.Table.from_batches([prepared.batch]))
    encoder.finish({})
    if compression != "zstd":  # fastavro needs another library for it, which the whole file in test_files has
        assert list(fastavro.reader(io.BytesIO(draft.content))) == batch.to_pylist()
        assert len(list(fastavro.block_reader(io.BytesIO(draft.content)))) > 1


def test_a_new_column_begins_a_new_file(tmp_path: object) -> None:
    table = FileTable(tmp_path, {"format": "avro"})  # type: ignore[arg-type]
    task = table.open()
    task.put(delivery(0, [{"a": 1}]))
    table.write(task, 1, [{"a": 2, "b": "new"}])
    rows = [row for path in table.files() for row in read_rows(path.name, path.read_bytes())]
    assert rows == [{"a": 1}, {"a": 2, "b": "new"}]
    task.close()
