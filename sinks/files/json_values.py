"""Columns that text has no form of its own for, as the JSON text of each value."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats import json_codec

_NAME = "v"
_BEFORE = len(b'{"v":')


def json_texts(column: pa.Array) -> tuple[pa.Array, dict[int, str]]:
    """The JSON text of each value as a string column, null where it is null, and the reasons of refused rows."""
    rows, reasons = json_codec.encode(pa.StructArray.from_arrays([column], names=[_NAME]))
    texts = pc.binary_slice(rows, _BEFORE, -1).cast(pa.large_string())
    return pc.if_else(column.is_valid(), texts, pa.scalar(None, pa.large_string())), reasons


def base64_texts(column: pa.Array) -> pa.Array:
    """Binary values in base64."""
    rows, _ = json_codec.encode(pa.StructArray.from_arrays([column], names=[_NAME]))
    texts = pc.binary_slice(rows, _BEFORE + 1, -2).cast(pa.large_string())
    return pc.if_else(column.is_valid(), texts, pa.scalar(None, pa.large_string()))


def without(batch: pa.RecordBatch, rows: list[int]) -> pa.RecordBatch:
    """``batch`` but for the rows with these indices."""
    return batch.take(pa.array(np.delete(np.arange(batch.num_rows), rows))) if rows else batch
