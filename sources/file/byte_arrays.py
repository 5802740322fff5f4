"""Arrow arrays of byte strings that lie one after the other in a buffer: the kernels of line cutting."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ingest.sources.file.fingerprint import Bytes
from ingest.sources.file.rules import Index

MOVES_BACK = 3
"""The most bytes by which ``at_characters`` moves."""


def starts_of(stops: Index) -> Index:
    return np.concatenate((np.zeros(1, np.int64), stops[:-1]))


def laid_out(text: pa.Buffer, stops: Index, first: int = 0) -> pa.Array:
    """Binary values that lie in ``text`` one after the other; no copy."""
    offsets = np.empty(len(stops) + 1, np.int32)
    offsets[0] = first
    offsets[1:] = stops
    return pa.Array.from_buffers(pa.binary(), len(stops), [None, pa.py_buffer(offsets), text])


def is_utf8(data: Bytes) -> bool:
    offsets = np.array([0, len(data)], np.int32)
    whole = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    try:
        whole.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def trimmed(value: pa.Array, characters: str) -> pa.Array:
    """Trims ASCII at the end. Six times as fast as slicing; the text view is never looked at as text."""
    return pc.ascii_rtrim(value.view(pa.string()), characters=characters).view(pa.binary())


def without_end(value: pa.Array, end: bytes) -> pa.Array:
    """Each value without ``end``, once, where it ends so."""
    return pc.if_else(pc.ends_with(value, end), pc.binary_slice(value, 0, -len(end)), value)


def contiguous(value: pa.Array) -> tuple[Bytes, Index]:
    """The bytes and offsets of a string or binary array."""
    value = pa.concat_arrays([value])
    _, offsets, data = value.buffers()
    view = np.frombuffer(offsets, np.int32)[value.offset : value.offset + len(value) + 1]
    return np.frombuffer(data, np.uint8), view.astype(np.int64)


def at_characters(data: Bytes, begins: Index, movable: NDArray[np.bool_]) -> Index:
    """Moves begins that fall inside a UTF-8 character back to its first byte."""
    movable = movable & (begins < len(data))
    for _ in range(MOVES_BACK):
        inside = np.zeros(len(begins), bool)
        inside[movable] = (data[begins[movable]] & 0xC0) == 0x80
        begins = begins - inside
    return begins
