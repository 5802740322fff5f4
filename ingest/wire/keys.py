"""Which partition a key belongs to: as Kafka's default partitioner says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from ingest.wire.arrow_buffers import as_binary
from ingest.wire.codec import kernel


def murmur2(key: bytes) -> int:
    """Kafka's hash of one key, signed 32 bit."""
    return int(kernel.murmur2(pa.array([key], pa.binary()))[0])


def partition_of(keys: pa.Array, partitions: int) -> Any:
    """The partition of each key, int32; a null key hashes as an empty one (choose otherwise before the call)."""
    if not 0 < partitions < 2**31:
        raise ValueError(f"{partitions} partitions")
    keys = as_binary(keys)
    if keys.null_count:
        keys = keys.fill_null(b"")
    return (kernel.murmur2(keys) & np.int32(0x7FFFFFFF)) % np.int32(partitions)
