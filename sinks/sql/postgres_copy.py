"""Rows as the text of a COPY, made in columns: CSV in which null is nothing and an empty text is ``""``."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv
from pyarrow import types as t

OPTIONS = "FORMAT csv, NULL '', ENCODING 'UTF8'"
_WRITTEN = csv.WriteOptions(include_header=False)
_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint16)


def copy_text(rows: pa.RecordBatch) -> pa.Buffer:
    """The content of one COPY FROM STDIN with ``OPTIONS``."""
    columns = [_bytes_as_hex(column) if t.is_binary(column.type) else column for column in rows.columns]
    sink = pa.BufferOutputStream()
    csv.write_csv(pa.RecordBatch.from_arrays(columns, names=rows.schema.names), sink, _WRITTEN)
    return sink.getvalue()


def _bytes_as_hex(column: pa.Array) -> pa.Array:
    r"""``\x00ff``, as bytea is written."""
    hexed = hexadecimal(column)
    return pc.binary_join_element_wise(pa.scalar("\\x"), hexed, pa.scalar(""))


def hexadecimal(column: pa.Array) -> pa.Array:
    """Two digits for each byte; null where the value is."""
    column = column.cast(pa.large_binary())
    offsets = np.frombuffer(column.buffers()[1], np.int64, len(column) + 1, column.offset * 8)
    content = column.buffers()[2]
    held = np.frombuffer(content, np.uint8)[offsets[0] : offsets[-1]] if content is not None else np.empty(0, np.uint8)
    digits = _HEX[held]
    ends = (offsets - offsets[0]) * 2
    made = pa.LargeStringArray.from_buffers(len(column), pa.py_buffer(ends), pa.py_buffer(digits))
    return made if not column.null_count else pc.if_else(column.is_null(), pa.scalar(None, made.type), made)
