"""Records as columns, on their way to and from record batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

HEADERS = pa.list_(pa.struct([pa.field("key", pa.string(), nullable=False), pa.field("value", pa.binary())]))


@dataclass(frozen=True, slots=True)
class RecordColumns:
    """``n`` records; immutable.

    ``values``   binary or large_binary; null is a tombstone
    ``timestamps``  int64 milliseconds, of length n
    ``keys``     like ``values``, or None where no record has a key
    ``headers``  ``HEADERS``, or None where no record has one
    ``common_headers``  written before each record's own; decoding puts them into ``headers``
    ``offsets``  int64; set by decoding (a compacted batch has gaps). Encoding keeps them if set, else counts from the
    base offset
    """

    values: pa.Array
    timestamps: npt.NDArray[np.int64]
    keys: pa.Array | None = None
    headers: pa.Array | None = None
    common_headers: tuple[tuple[str, bytes | None], ...] = ()
    offsets: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.values)
