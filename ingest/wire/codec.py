"""Record batches from columns, and columns from record batches: by the compiled kernel, else by its twin.

``INGEST_PURE=1`` in the environment chooses the twin where both are there.
"""

from __future__ import annotations

import os
import struct
from typing import Any

import numpy as np

from ingest.errors import CorruptBatch, TooLarge
from ingest.wire import batch as frames
from ingest.wire.batch import HEADER_BYTES, BatchHeader, check_crc, seal
from ingest.wire.columns import RecordColumns
from ingest.wire.compression import CODECS, compress, decompress

kernel: Any
try:
    if os.environ.get("INGEST_PURE"):
        raise ImportError("the twin was asked for")
    from ingest.wire import codec_compiled as kernel
except ImportError:
    from ingest.wire import codec_numpy as kernel

MAX_BATCH_BYTES = 256 * 1024 * 1024
_LARGEST = 2**31 - 1
_HEADER = struct.Struct(">qiibIhiqqqhii")
_LEAST_RECORD_BYTES = 7


def encode_batch(columns: RecordColumns, **options: Any) -> bytearray:
    """One batch of all ``columns``; the options are those of ``encode_batches``."""
    batches = encode_batches(columns, max_batch_bytes=_LARGEST, **options)
    if len(batches) != 1:
        raise TooLarge(f"{len(columns)} records do not fit into one batch of {_LARGEST} bytes")
    return batches[0]


def encode_batches(
    columns: RecordColumns,
    *,
    max_batch_bytes: int,
    base_offset: int = 0,
    compression: str = "none",
    level: int | None = None,
    leader_epoch: int = 0,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    transactional: bool = False,
    log_append_time: bool = False,
    delete_horizon_ms: int | None = None,
) -> list[bytearray]:
    """Cuts ``columns`` into batches, each at most ``max_batch_bytes`` before compression.

    Offsets, and sequences where there is a producer, continue from batch to batch. Raises ``TooLarge`` if one
    record alone does not fit; its row is the fact ``row``. No records make one empty batch.
    """
    prepared = kernel.prepare(columns)
    attributes = CODECS.index(compression) | (frames.TRANSACTIONAL if transactional else 0)
    attributes |= (frames.LOG_APPEND_TIME if log_append_time else 0) | (
        frames.DELETE_HORIZON if delete_horizon_ms is not None else 0
    )
    batches: list[bytearray] = []
    start = 0
    while start < len(columns) or not batches:
        batch, count, largest = kernel.encode_records(prepared, start, max_batch_bytes)
        if not count and len(columns):
            raise TooLarge(f"record {start} is larger than a batch of {max_batch_bytes} bytes may be", row=start)
        if compression != "none":
            batch[HEADER_BYTES:] = compress(compression, memoryview(batch)[HEADER_BYTES:], level)
        first = int(columns.timestamps[start]) if count else -1
        sequence = -1 if base_sequence < 0 else (base_sequence + start) & 0x7FFFFFFF
        _HEADER.pack_into(
            batch, 0, base_offset + start, len(batch) - frames.LOG_OVERHEAD, leader_epoch, frames.MAGIC, 0, attributes,
            max(count - 1, 0), first if delete_horizon_ms is None else delete_horizon_ms, largest if count else -1,
            producer_id, producer_epoch, sequence, count,
        )  # fmt: skip
        seal(batch, 0, len(batch))
        batches.append(batch)
        start += count
    return batches


def decode_batch(
    buffer: Any,
    header: BatchHeader,
    position: int = 0,
    *,
    check: bool = True,
    max_bytes: int = MAX_BATCH_BYTES,
    want_headers: bool = True,
) -> RecordColumns:
    """The records of the batch at ``position``, which ``header`` was read from.

    Raises ``CorruptBatch`` for a wrong CRC (unless ``check`` is off) or any length that cannot be true, and
    ``TooLarge`` if the records take more than ``max_bytes``. Times are those of the append where the batch says so.
    """
    if check:
        check_crc(buffer, header, position)
    packed = memoryview(buffer)[position + HEADER_BYTES : position + header.size_bytes]
    section = decompress(header.codec, packed, max_bytes)
    if len(section) > max_bytes:
        raise TooLarge(f"batch at byte {position} holds {len(section)} bytes of records", max_bytes=max_bytes)
    if header.record_count * _LEAST_RECORD_BYTES > len(section):
        raise CorruptBatch(
            f"batch at byte {position} says {header.record_count} records and has {len(section)} bytes",
            position=position,
        )
    columns: RecordColumns = kernel.decode_records(section, header, position, want_headers)
    if header.log_append_time:
        columns.timestamps[:] = np.int64(header.max_timestamp)
    return columns
