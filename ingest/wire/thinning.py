"""A record batch with some of its records taken out: what compaction does to a batch.

Offsets, sequences and the order of records stay; so does everything that a kept record holds. Kafka calls this
filtering. The kernel is compiled where there is a compiler; its twin and oracle is ``thinning_twin``.
"""

from __future__ import annotations

import os
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from ingest.errors import CorruptBatch
from ingest.wire.batch import CODEC_MASK, CRC_START, DELETE_HORIZON, HEADER_BYTES, LOG_OVERHEAD, BatchHeader, seal
from ingest.wire.codec import MAX_BATCH_BYTES
from ingest.wire.compression import compress, decompress

kernel: Any
try:
    if os.environ.get("INGEST_PURE"):
        raise ImportError("the twin was asked for")
    from ingest.wire import _codec as kernel  # type: ignore[attr-defined, no-redef]  # compiled
except ImportError:
    from ingest.wire import thinning_twin as kernel

_LENGTH = struct.Struct(">i")
_TIMES = struct.Struct(">qq")
_COUNT = struct.Struct(">i")
_ATTRIBUTES = struct.Struct(">h")
_MORE_BYTES = 10  # that a timestamp delta, and the record's length with it, may take after a shift


def keep_records(
    buffer: Any,
    header: BatchHeader,
    position: int,
    keep: npt.NDArray[np.bool_],
    *,
    max_timestamp: int,
    delete_horizon_ms: int | None = None,
) -> bytearray:
    """The batch at ``position`` with the records that ``keep`` marks; with none it is an empty batch.

    ``max_timestamp`` is that of the kept records. ``delete_horizon_ms``, where given, is stamped on the batch.
    Raises ``CorruptBatch`` if the records are not what the header says.
    """
    section = decompress(header.codec, memoryview(buffer)[position + HEADER_BYTES : position + header.size_bytes],
                         MAX_BATCH_BYTES)  # fmt: skip
    base = header.base_timestamp if delete_horizon_ms is None else delete_horizon_ms
    source = np.frombuffer(section, np.uint8)
    out: Any = np.empty(len(source) + _MORE_BYTES * int(keep.sum()), np.uint8)
    used = kernel.thin_records(source, keep.view(np.uint8), header.base_timestamp - base, out)
    if used < 0:
        raise CorruptBatch(f"batch at byte {position} does not hold {len(keep)} records", position=position)
    records = memoryview(out)[:used]
    attributes = header.attributes | (0 if delete_horizon_ms is None else DELETE_HORIZON)
    if not used:
        attributes &= ~CODEC_MASK
    batch = bytearray(memoryview(buffer)[position : position + HEADER_BYTES])
    batch += records if header.codec == "none" or not used else compress(header.codec, records)
    _LENGTH.pack_into(batch, 8, len(batch) - LOG_OVERHEAD)
    _ATTRIBUTES.pack_into(batch, CRC_START, attributes)
    _TIMES.pack_into(batch, 27, base, max_timestamp)
    _COUNT.pack_into(batch, 57, int(keep.sum()))
    seal(batch, 0, len(batch))
    return batch
