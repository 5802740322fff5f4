"""Arrow arrays as the raw buffers that kernels walk, and back. No row is touched in Python."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

_NARROW = (pa.binary(), pa.string())
_WIDE = (pa.large_binary(), pa.large_string())
_NOWHERE = np.zeros(2, np.int64)  # the offsets of an array without rows, which Arrow may leave out


class Addresses(NamedTuple):
    """Where the buffers of a column lie; they live as long as the array does."""

    data: int
    offsets: int
    validity: int  # 0: no row is null
    first: int  # row 0 of the array is this one of the buffers
    wide: bool  # offsets of 64 bits


def as_binary(array: Any) -> pa.Array:
    """``array`` itself if it is binary, text or a large kind of these; else cast to large binary."""
    if isinstance(array, pa.ChunkedArray):
        array = array.cast(pa.large_binary()).combine_chunks()
    return array if array.type in _NARROW or array.type in _WIDE else array.cast(pa.large_binary())


def addresses(array: pa.Array) -> Addresses:
    """Of a binary or text array (large or not), or of a list array."""
    buffers = array.buffers()
    validity, offsets = buffers[0], buffers[1]
    data = buffers[2] if len(buffers) == 3 else None
    if offsets is None or not offsets.size:
        return Addresses(0, _NOWHERE.ctypes.data, 0, 0, array.type in _WIDE)
    return Addresses(
        data.address if data is not None else 0,
        offsets.address,
        validity.address if validity is not None and array.null_count else 0,
        array.offset,
        array.type in _WIDE,
    )


def binary_array(offsets: npt.NDArray[Any], data: Bytes, validity: Bytes | None) -> pa.Array:
    """A binary (or large, by the width of ``offsets``) array over these buffers; ``validity`` is a bitmap."""
    kind = pa.large_binary() if offsets.dtype == np.int64 else pa.binary()
    bitmap = None if validity is None else pa.py_buffer(validity)
    return pa.Array.from_buffers(kind, len(offsets) - 1, [bitmap, pa.py_buffer(offsets), pa.py_buffer(data)])
