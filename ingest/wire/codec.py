"""Record batches from columns, and columns from record batches: by the compiled kernel, else by its twin.

``INGEST_PURE=1`` in the environment chooses the twin where both are there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ingest.errors import CorruptBatch, TooLarge, UnsupportedBatch
from ingest.wire import batch as frames
from ingest.wire.batch import HEADER_BYTES, BatchHeader, check_crc, write_header
from ingest.wire.columns import RecordColumns
from ingest.wire.compression import compress, decompress

kernel: Any
try:
    if os.environ.get("INGEST_PURE"):
        raise ImportError("the twin was asked for")
    from ingest.wire import codec_compiled as kernel
except ImportError:
    from ingest.wire import codec_numpy as kernel

MAX_BATCH_BYTES = 256 * 1024 * 1024
_LARGEST = 2**31 - 1
_LEAST_RECORD_BYTES = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What the headers of batches say besides what their records say.

    ``level`` is that of the codec, None its own default. ``delete_horizon_ms`` is when tombstones may go (KIP-534).
    ``log_append_time`` makes the largest timestamp that of all records.
    """

    base_offset: int = 0
    compression: str = "none"
    level: int | None = None
    leader_epoch: int = 0
    producer_id: int = -1
    producer_epoch: int = -1
    base_sequence: int = -1
    transactional: bool = False
    log_append_time: bool = False
    delete_horizon_ms: int | None = None

    @property
    def attributes(self) -> int:
        if self.compression not in frames.CODECS:
            known = ", ".join(frames.CODECS)
            raise UnsupportedBatch(f"unknown compression codec {self.compression}", hint=f"known: {known}")
        return (
            frames.CODECS.index(self.compression)
            | (frames.TRANSACTIONAL if self.transactional else 0)
            | (frames.LOG_APPEND_TIME if self.log_append_time else 0)
            | (frames.DELETE_HORIZON if self.delete_horizon_ms is not None else 0)
        )


def encode_batch(columns: RecordColumns, *, last_offset_delta: int | None = None, **stamp: Any) -> bytearray:
    """One batch of all ``columns``, with the fields of ``Stamp``; raises ``TooLarge`` if they do not fit into one.

    ``last_offset_delta`` is for cleaned batches, whose last records may be gone while their offsets remain theirs.
    """
    encoder = _Encoder(columns, Stamp(**stamp))
    batch, count = encoder.batch(0, _LARGEST, last_offset_delta)
    if count < len(columns):
        raise TooLarge(f"{len(columns)} records do not fit into one batch of {_LARGEST} bytes")
    return batch


def encode_batches(columns: RecordColumns, *, max_batch_bytes: int, **stamp: Any) -> list[bytearray]:
    """Cuts ``columns`` into batches, each at most ``max_batch_bytes`` before compression, with the fields of ``Stamp``.

    Offsets, and sequences where there is a producer, continue from batch to batch. Raises ``TooLarge`` if one
    record alone does not fit; its row is the fact ``row``. No records make one empty batch.
    """
    return list(each_batch(columns, batch_bytes=max_batch_bytes, max_batch_bytes=max_batch_bytes, **stamp))


def each_batch(columns: RecordColumns, *, batch_bytes: int, max_batch_bytes: int, **stamp: Any) -> Iterator[bytearray]:
    """As ``encode_batches``, but each is made when it is asked for, and larger than ``batch_bytes`` only where that
    takes less than one record."""
    encoder = _Encoder(columns, Stamp(**stamp))
    limit = min(max_batch_bytes, _LARGEST)
    start = 0
    while True:
        batch, count = encoder.batch(start, min(batch_bytes, limit))
        if not count and batch_bytes < limit:
            batch, count = encoder.batch(start, limit)
        if not count and len(columns):
            raise TooLarge(f"record {start} is larger than a batch of {limit} bytes may be", row=start)
        yield batch
        start += count
        if start >= len(columns):
            return


class _Encoder:
    """Columns and their stamp, about to become batches."""

    def __init__(self, columns: RecordColumns, stamp: Stamp) -> None:
        _check(columns, stamp.base_offset)
        self._columns = columns
        self._stamp = stamp
        self._attributes = stamp.attributes
        self._prepared = kernel.prepare(columns)

    def batch(self, start: int, limit: int, last_offset_delta: int | None = None) -> tuple[bytearray, int]:
        """As many records from ``start`` as fit into ``limit`` bytes, and how many these are."""
        stamp, columns = self._stamp, self._columns
        base = self._base_offset(start)
        first = int(columns.timestamps[start]) if start < len(columns) else -1
        base_timestamp = first if stamp.delete_horizon_ms is None else stamp.delete_horizon_ms
        batch, count, largest = kernel.encode_records(self._prepared, start, limit, base, base_timestamp)
        if stamp.compression != "none":
            batch = bytearray(HEADER_BYTES) + compress(stamp.compression, memoryview(batch)[HEADER_BYTES:], stamp.level)
        last = count - 1 if columns.offsets is None or not count else int(columns.offsets[start + count - 1]) - base
        sequence = stamp.base_sequence
        header = BatchHeader(
            base_offset=base,
            size_bytes=len(batch),
            leader_epoch=stamp.leader_epoch,
            magic=frames.MAGIC,
            crc=0,
            attributes=self._attributes,
            last_offset_delta=max(last, 0, last_offset_delta or 0),
            base_timestamp=base_timestamp,
            max_timestamp=largest,
            producer_id=stamp.producer_id,
            producer_epoch=stamp.producer_epoch,
            base_sequence=sequence if sequence < 0 else (sequence + base - stamp.base_offset) & _LARGEST,
            record_count=count,
        )
        write_header(batch, header)
        return batch, count

    def _base_offset(self, start: int) -> int:
        if self._columns.offsets is None or not start:
            return self._stamp.base_offset + start
        return int(self._columns.offsets[start])


def _check(columns: RecordColumns, base_offset: int) -> None:
    """Raises ``ValueError`` for columns that do not belong together: kernels rely on it."""
    rows = len(columns)
    for name in ("timestamps", "keys", "headers", "offsets"):
        column = getattr(columns, name)
        if column is not None and len(column) != rows:
            raise ValueError(f"{rows} values and {len(column)} {name}")
    offsets = columns.offsets
    if offsets is None or not rows:
        return
    if int(offsets[0]) < base_offset or int(offsets[-1]) - base_offset > _LARGEST or (np.diff(offsets) <= 0).any():
        raise ValueError(f"offsets from {offsets[0]} to {offsets[-1]} do not rise from {base_offset}")


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
    section = _section(memoryview(buffer).cast("B"), header, position, min(max_bytes, _LARGEST))
    if header.record_count * _LEAST_RECORD_BYTES > len(section):
        raise CorruptBatch(
            f"batch at byte {position} says {header.record_count} records and has {len(section)} bytes",
            position=position,
        )
    columns: RecordColumns = kernel.decode_records(section, header, position, want_headers)
    if header.log_append_time:
        columns.timestamps[:] = np.int64(header.max_timestamp)
    return columns


def _section(buffer: memoryview, header: BatchHeader, position: int, max_bytes: int) -> Any:
    """The records' bytes: where nothing is compressed, a view of the buffer."""
    if len(buffer) - position < header.size_bytes:
        raise CorruptBatch(f"batch at byte {position} is cut short", position=position)
    packed = buffer[position + HEADER_BYTES : position + header.size_bytes]
    try:
        section = decompress(header.codec, packed, max_bytes)
    except CorruptBatch as error:
        raise CorruptBatch(f"batch at byte {position}: {error.message}", position=position) from error
    except TooLarge as error:
        raise TooLarge(f"batch at byte {position}: {error.message}", position=position, max_bytes=max_bytes) from error
    if len(section) > max_bytes:
        raise TooLarge(
            f"batch at byte {position} holds {len(section)} bytes of records", position=position, max_bytes=max_bytes
        )
    return section
