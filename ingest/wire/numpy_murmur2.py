"""Kafka's hash of keys, in numpy: keys of one length are hashed together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

_MULTIPLIER = np.uint32(0x5BD1E995)


def murmur2(keys: pa.Array) -> Any:
    """Kafka's hash of each key, int32; the array holds no null."""
    keys = keys.cast(pa.large_binary())
    _, offsets, data = keys.buffers()
    if offsets is None or not len(keys):
        return np.empty(0, np.int32)
    bounds = np.frombuffer(offsets, np.int64)[keys.offset : keys.offset + len(keys) + 1]
    content = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
    lengths, out = np.diff(bounds), np.empty(len(keys), np.int32)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        letters = content[bounds[rows][:, None] + np.arange(length)].astype(np.uint32)
        out[rows] = _hash(letters, int(length))
    return out


def _hash(rows: Any, length: int) -> Any:
    """Austin Appleby's MurmurHash2, 32 bit, with Kafka's seed; products wrap."""
    mixed: Any = np.full(len(rows), (0x9747B28C ^ length) & 0xFFFFFFFF, np.uint32)
    whole = length - length % 4
    for start in range(0, whole, 4):
        part = rows[:, start] | rows[:, start + 1] << 8 | rows[:, start + 2] << 16 | rows[:, start + 3] << 24
        part = part * _MULTIPLIER
        part = (part ^ part >> 24) * _MULTIPLIER
        mixed = mixed * _MULTIPLIER ^ part
    for index in range(length - 1, whole - 1, -1):
        mixed = mixed ^ rows[:, index] << np.uint32(8 * (index - whole))
    if length > whole:
        mixed = mixed * _MULTIPLIER
    mixed = (mixed ^ mixed >> 13) * _MULTIPLIER
    return (mixed ^ mixed >> 15).view(np.int32)
