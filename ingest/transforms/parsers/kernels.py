"""The compiled kernels, and text columns as the buffers that they work on.

A kernel is None where Ingest was installed without a compiler, or ``INGEST_PURE=1`` asks for the twins.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

Kernel = Callable[..., Any]

access_lines: Kernel | None = None
cut_lines: Kernel | None = None
pair_lines: Kernel | None = None

if not os.environ.get("INGEST_PURE"):
    try:
        from ingest.transforms._fields import cut_lines as _cut_lines
        from ingest.transforms._fields import pair_lines as _pair_lines
        from ingest.transforms._parse import access_lines as _access_lines
    except ImportError:
        pass
    else:
        access_lines, cut_lines, pair_lines = _access_lines, _cut_lines, _pair_lines


def buffers_of(lines: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """The offsets of the lines, and the bytes that they point into; nothing is copied. A null line is empty, or
    holds bytes that mean nothing."""
    _, offsets, data = lines.buffers()
    if offsets is None or not len(lines):
        return np.zeros(1, np.int32), np.zeros(0, np.uint8)
    whole = np.frombuffer(offsets, np.int32)[lines.offset : lines.offset + len(lines) + 1]
    return whole, np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)


def texts_of(offsets: np.ndarray, content: np.ndarray, present: np.ndarray | None = None) -> pa.StringArray:
    """The inverse; where ``present`` is 0 the text is null."""
    bits = None if present is None else bitmap(present)
    return pa.Array.from_buffers(pa.string(), len(offsets) - 1, [bits, pa.py_buffer(offsets), pa.py_buffer(content)])


def bitmap(present: np.ndarray) -> pa.Buffer | None:
    """Arrow's validity bits; None where all are there."""
    return None if present.all() else pa.py_buffer(np.packbits(present, bitorder="little"))
