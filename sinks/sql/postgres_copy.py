"""Rows as the text of a COPY, made in columns: CSV in which null is nothing and an empty text is ``""``."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv
from pyarrow import types as t

from ingest.sinks.sql.hexadecimal import hexadecimal

OPTIONS = "FORMAT csv, NULL '', ENCODING 'UTF8'"
_BACKSLASH_X, _NOTHING = pa.scalar("\\x", pa.large_string()), pa.scalar("", pa.large_string())
_WRITTEN = csv.WriteOptions(include_header=False)


def copy_text(rows: pa.RecordBatch) -> pa.Buffer:
    """The content of one COPY FROM STDIN with ``OPTIONS``."""
    columns = [_plainer(column) for column in rows.columns]
    sink = pa.BufferOutputStream()
    csv.write_csv(pa.RecordBatch.from_arrays(columns, names=rows.schema.names), sink, _WRITTEN)
    return sink.getvalue()


def _plainer(column: pa.Array) -> pa.Array:
    if t.is_binary(column.type):
        return _bytes_as_hex(column)
    if t.is_timestamp(column.type) and column.type.tz is not None:
        # The session is in UTC, so the zone need not be said; Arrow takes ten times as long to say it.
        return column.cast(pa.timestamp(column.type.unit))
    return column


def _bytes_as_hex(column: pa.Array) -> pa.Array:
    r"""``\x00ff``, as bytea is written."""
    return pc.binary_join_element_wise(_BACKSLASH_X, hexadecimal(column), _NOTHING)
