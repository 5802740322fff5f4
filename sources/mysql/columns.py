"""Buffers that a kernel has filled, as Arrow columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a kernel's buffers hold. ``bits`` is the width of a BIT column, which comes as a number and leaves as text;
    ``type`` may be a decimal that no 128 bits hold, which comes as text."""

    type: pa.DataType
    scale: int = 0
    bits: int = 0


def array_of(decoded: Decoded, count: int, *parts: np.ndarray) -> pa.Array:
    """``parts`` are (values, present), or (offsets, bytes, present) of texts."""
    *data, present = parts
    validity = None if present.all() else pa.py_buffer(np.packbits(present, bitorder="little"))
    if decoded.bits:
        data = _digits(data[0], decoded.bits)
    if pa.types.is_null(decoded.type):
        return pa.nulls(count)
    kind = pa.string() if pa.types.is_decimal256(decoded.type) else decoded.type
    array = pa.Array.from_buffers(kind, count, [validity, *(pa.py_buffer(each) for each in data)])
    return array if kind == decoded.type else array.cast(decoded.type)


def _digits(numbers: np.ndarray, bits: int) -> list[np.ndarray]:
    """Offsets and texts of 0 and 1, the most significant first."""
    of_each = np.unpackbits(numbers.view(np.uint8).reshape(-1, 8)[:, ::-1], axis=1)[:, 64 - bits :]
    offsets = np.arange(len(of_each) + 1, dtype=np.int32) * bits
    return [offsets.astype(np.int32), np.ascontiguousarray(of_each + ord("0")).reshape(-1)]
