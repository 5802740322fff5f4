"""Bytes as hexadecimal digits, in columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_DIGITS = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint16)


def hexadecimal(column: pa.Array) -> pa.Array:
    """Two digits for each byte, as large strings; null where the value is."""
    column = column.cast(pa.large_binary())
    offsets = np.frombuffer(column.buffers()[1], np.int64, len(column) + 1, column.offset * 8)
    content = column.buffers()[2]
    held = np.frombuffer(content, np.uint8)[offsets[0] : offsets[-1]] if content is not None else np.empty(0, np.uint8)
    ends = (offsets - offsets[0]) * 2
    made = pa.LargeStringArray.from_buffers(len(column), pa.py_buffer(ends), pa.py_buffer(_DIGITS[held]))
    return made if not column.null_count else pc.if_else(column.is_null(), pa.scalar(None, made.type), made)
