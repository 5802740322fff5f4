"""The header of a record batch, format v2: read, checked and patched in place.

Source: Apache Kafka, "Record Batch" in the message format documentation; KIP-98. Drawn in
``docs/formats/record-batch.md``. Nothing here looks at records.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import crc32c

from ingest.errors import CorruptBatch, UnsupportedBatch

LOG_OVERHEAD = 12
HEADER_BYTES = 61
MAGIC = 2
CRC_START = 21  # what the CRC covers begins here: the attributes

_HEADER = struct.Struct(">qiibIhiqqqhii")
_CRC_AT = 17
_MAX_TIMESTAMP_AT = 35
_LAST_OFFSET = 2**63 - 1
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")

CODEC_MASK = 0x07
LOG_APPEND_TIME = 0x08
TRANSACTIONAL = 0x10
CONTROL = 0x20
DELETE_HORIZON = 0x40


@dataclass(frozen=True, slots=True)
class BatchHeader:
    """The 61 bytes before the records. ``size_bytes`` is the whole batch, base offset and length included."""

    base_offset: int
    size_bytes: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        return self.last_offset + 1

    @property
    def codec(self) -> str:
        """``none``, ``gzip``, ``snappy``, ``lz4`` or ``zstd``; raises ``UnsupportedBatch`` for a number beyond."""
        number = self.attributes & CODEC_MASK
        if number >= len(CODECS):
            raise UnsupportedBatch(f"batch at offset {self.base_offset}: unknown compression codec {number}")
        return CODECS[number]

    @property
    def log_append_time(self) -> bool:
        """True if all records have ``max_timestamp`` as their time, whatever they say."""
        return bool(self.attributes & LOG_APPEND_TIME)

    @property
    def is_transactional(self) -> bool:
        return bool(self.attributes & TRANSACTIONAL)

    @property
    def is_control(self) -> bool:
        return bool(self.attributes & CONTROL)

    @property
    def delete_horizon_ms(self) -> int | None:
        """When tombstones of a cleaned batch may go (KIP-534); it stands in ``base_timestamp``."""
        return self.base_timestamp if self.attributes & DELETE_HORIZON else None

    @property
    def last_sequence(self) -> int:
        """The last record's sequence number; wraps at 2**31 as Kafka's do. -1 without a producer."""
        if self.base_sequence < 0:
            return -1
        return (self.base_sequence + self.last_offset_delta) & 0x7FFFFFFF


def read_header(buffer: Any, position: int = 0) -> BatchHeader:
    """The header at ``position`` of any bytes-like; raises ``CorruptBatch`` if there is none that can be true."""
    if len(buffer) - position < HEADER_BYTES:
        raise CorruptBatch(f"no whole batch header at byte {position}", position=position)
    fields = _HEADER.unpack_from(buffer, position)
    base_offset, length, magic, last_delta, count = fields[0], fields[1], fields[3], fields[6], fields[12]
    if magic != MAGIC:
        raise CorruptBatch(f"batch at byte {position} has magic {magic}, not {MAGIC}", position=position)
    if (
        length < HEADER_BYTES - LOG_OVERHEAD
        or not 0 <= base_offset <= _LAST_OFFSET - max(last_delta, 0)
        or not 0 <= count <= last_delta + 1
    ):
        raise CorruptBatch(f"batch at byte {position} has a length or count that cannot be true", position=position)
    return BatchHeader(base_offset, length + LOG_OVERHEAD, *fields[2:])


def write_header(buffer: Any, header: BatchHeader, position: int = 0) -> None:
    """Writes ``header`` before records that stand there already, and the CRC of it all (``header.crc`` is ignored)."""
    _HEADER.pack_into(
        buffer,
        position,
        header.base_offset,
        header.size_bytes - LOG_OVERHEAD,
        header.leader_epoch,
        header.magic,
        0,
        header.attributes,
        header.last_offset_delta,
        header.base_timestamp,
        header.max_timestamp,
        header.producer_id,
        header.producer_epoch,
        header.base_sequence,
        header.record_count,
    )
    _seal(buffer, position, header.size_bytes)


def check_crc(buffer: Any, header: BatchHeader, position: int = 0) -> None:
    """Raises ``CorruptBatch`` unless the batch is whole and its CRC-32C is right."""
    if len(buffer) - position < header.size_bytes:
        raise CorruptBatch(f"batch at byte {position} is cut short", position=position)
    covered = memoryview(buffer)[position + CRC_START : position + header.size_bytes]
    if crc32c.crc32c(covered) != header.crc:
        raise CorruptBatch(f"batch at byte {position} fails its CRC", position=position)


def whole_batches(buffer: Any, position: int = 0) -> Iterator[tuple[int, BatchHeader]]:
    """Position and header of each whole batch; stops at a partial tail; CRCs are not checked."""
    end = len(buffer)
    while end - position >= HEADER_BYTES:
        header = read_header(buffer, position)
        if header.size_bytes > end - position:
            return
        yield position, header
        position += header.size_bytes


def place(buffer: Any, position: int, base_offset: int, leader_epoch: int = 0) -> None:
    """Sets base offset and leader epoch, which stand outside the CRC."""
    struct.pack_into(">q", buffer, position, base_offset)
    struct.pack_into(">i", buffer, position + LOG_OVERHEAD, leader_epoch)


def stamp_log_append_time(buffer: Any, position: int, timestamp_ms: int) -> None:
    """Makes ``timestamp_ms`` the time of all records, as ``message.timestamp.type=LogAppendTime`` asks."""
    header = read_header(buffer, position)
    struct.pack_into(">h", buffer, position + CRC_START, header.attributes | LOG_APPEND_TIME)
    struct.pack_into(">q", buffer, position + _MAX_TIMESTAMP_AT, timestamp_ms)
    _seal(buffer, position, header.size_bytes)


def _seal(buffer: Any, position: int, size_bytes: int) -> None:
    crc = crc32c.crc32c(memoryview(buffer)[position + CRC_START : position + size_bytes])
    struct.pack_into(">I", buffer, position + _CRC_AT, crc)
