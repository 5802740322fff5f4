"""Arrow columns as the values that SQLite stores: integers, reals, texts, blobs."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as t

from ingest.sinks.sql.database import RowsRefused


def columns_as_stored(rows: pa.RecordBatch) -> list[list[Any]]:
    """The columns as Python values: decimals, dates and times as texts that sort as they do."""
    return [_stored(column).to_pylist() for column in rows.columns]


def _stored(column: pa.Array) -> pa.Array:
    kind = column.type
    if t.is_floating(kind) and pc.any(pc.is_nan(column)).as_py():
        raise RowsRefused("NotWritable", "SQLite has no NaN, and would write null")
    if t.is_boolean(kind):
        return column.cast(pa.int8())
    if t.is_timestamp(kind):
        return _timestamp(column)
    return column.cast(pa.string()) if t.is_decimal(kind) or t.is_temporal(kind) or t.is_uint64(kind) else column


def _timestamp(column: pa.Array) -> pa.Array:
    """``2026-01-31 12:00:00.000000``, as SQLite's own functions have it; in UTC where there is a zone."""
    return column.cast(pa.timestamp(column.type.unit)).cast(pa.string())
