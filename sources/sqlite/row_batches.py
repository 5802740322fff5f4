"""A query's rows as Arrow batches: by the compiled kernel, else by Python's ``sqlite3`` and ``columns.batch_of``."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing

import numpy as np
import pyarrow as pa

from ingest.sources.databases.tables import ColumnInfo
from ingest.sources.sqlite.columns import batch_of
from ingest.sources.sqlite.library import Opened
from ingest.sources.sqlite.rows import some_rows

Batches = Generator[tuple[pa.RecordBatch, np.ndarray], None, None]

_KINDS: dict[pa.DataType, int] = {pa.int64(): 1, pa.float64(): 2, pa.string(): 3, pa.binary(): 4}
"""SQLite's numbers for what a value is."""


def batches(opened: Opened, query: str, columns: Sequence[ColumnInfo], size_bytes: int) -> Batches:
    """As ``batch_of`` makes them, of about ``size_bytes`` each; ends its statement when it is closed."""
    read = _by_kernel if opened.handle else _by_python
    return read(opened, query, columns, size_bytes)


def _by_python(opened: Opened, query: str, columns: Sequence[ColumnInfo], size_bytes: int) -> Batches:
    with closing(opened.connection.execute(query)) as cursor:
        while rows := some_rows(cursor, size_bytes):
            yield batch_of(rows, columns)


def _by_kernel(opened: Opened, query: str, columns: Sequence[ColumnInfo], size_bytes: int) -> Batches:
    kinds = np.array([_KINDS[column.type] for column in columns], np.int32)
    schema = pa.schema([pa.field(column.name, column.type) for column in columns])
    with closing(opened.statement(query, kinds, size_bytes)) as statement:
        while found := statement.next():
            parts, refused = found
            arrays = [_array(field.type, len(refused), *each) for field, each in zip(schema, parts, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema), refused


def _array(kind: pa.DataType, count: int, *parts: np.ndarray) -> pa.Array:
    """``parts`` are (values, present), or (offsets, bytes, present) of texts."""
    *data, present = parts
    validity = None if present.all() else pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(kind, count, [validity, *(pa.py_buffer(each) for each in data)])
