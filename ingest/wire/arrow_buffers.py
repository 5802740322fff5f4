"""Arrow binary arrays as the flat buffers that kernels walk, and back. No row is touched in Python."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

_EMPTY = np.zeros(0, np.uint8)


class Flat(NamedTuple):
    """``data[offsets[i]:offsets[i + 1]]`` is row i; ``nulls`` has a byte for each row (1 = null) or is None."""

    data: Bytes
    offsets: Numbers
    nulls: Bytes | None


def flat(array: pa.Array) -> Flat:
    """The buffers of a binary, string, large_binary or large_string array; other types are cast to large_binary."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    wide = pa.types.is_large_binary(array.type) or pa.types.is_large_string(array.type)
    if not wide and not pa.types.is_binary(array.type) and not pa.types.is_string(array.type):
        array, wide = array.cast(pa.large_binary()), True
    _, offsets, data = array.buffers()
    count = len(array)
    if count == 0 or offsets is None:
        return Flat(_EMPTY, np.zeros(count + 1, np.int64), None)
    numbers = np.frombuffer(offsets, np.int64 if wide else np.int32)[array.offset : array.offset + count + 1]
    content = np.frombuffer(data, np.uint8) if data is not None and data.size else _EMPTY
    return Flat(content, numbers.astype(np.int64, copy=False), nulls_of(array))


def nulls_of(array: pa.Array) -> Bytes | None:
    """A byte for each row, 1 where it is null; None where none is."""
    if not array.null_count:
        return None
    found: Any = array.is_null().cast(pa.uint8()).to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(found, np.uint8)


def binary_array(offsets: npt.NDArray[Any], data: Bytes, valid: Bytes | None, *, text: bool = False) -> pa.Array:
    """A binary (or large, by the width of ``offsets``) array over these buffers; in ``valid`` 1 is not null."""
    wide = offsets.dtype == np.int64
    kinds = {(False, False): pa.binary(), (True, False): pa.large_binary(), (False, True): pa.string()}
    bitmap = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    buffers = [bitmap, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(kinds[wide, text], len(offsets) - 1, buffers)
