"""Control batches: the markers that end a transaction.

Source: Apache Kafka, "Control Batches"; KIP-98. A control batch holds one record: key ``version, type`` (int16 each),
value ``version`` (int16), ``coordinator epoch`` (int32).
"""

from __future__ import annotations

import enum
import struct
from typing import Any

from ingest.errors import CorruptBatch
from ingest.wire.batch import CONTROL, HEADER_BYTES, MAGIC, TRANSACTIONAL, BatchHeader, write_header
from ingest.wire.varint import encode_varint, read_varint

_KEY = struct.Struct(">hh")
_VALUE = struct.Struct(">hi")
_VERSION = 0


class Marker(enum.IntEnum):
    """How a transaction ended."""

    ABORT = 0
    COMMIT = 1


def encode_marker(
    kind: Marker,
    producer_id: int,
    producer_epoch: int,
    timestamp_ms: int,
    coordinator_epoch: int = 0,
    base_offset: int = 0,
) -> bytearray:
    """One control batch with one marker."""
    key, value = _KEY.pack(_VERSION, kind), _VALUE.pack(_VERSION, coordinator_epoch)
    # attributes, timestamp delta and offset delta before, header count behind: all 0
    body = b"\0\0\0" + encode_varint(len(key)) + key + encode_varint(len(value)) + value + b"\0"
    batch = bytearray(HEADER_BYTES) + encode_varint(len(body)) + body
    header = BatchHeader(
        base_offset=base_offset,
        size_bytes=len(batch),
        leader_epoch=0,
        magic=MAGIC,
        crc=0,
        attributes=TRANSACTIONAL | CONTROL,
        last_offset_delta=0,
        base_timestamp=timestamp_ms,
        max_timestamp=timestamp_ms,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=-1,
        record_count=1,
    )
    write_header(batch, header)
    return batch


def decode_marker(buffer: Any, header: BatchHeader, position: int = 0) -> Marker:
    """The marker of a control batch; raises ``CorruptBatch`` for anything else."""
    end = position + header.size_bytes
    if not header.is_control or end > len(buffer):
        raise CorruptBatch(f"batch at byte {position} holds no marker", position=position)
    try:
        _, at = read_varint(buffer, position + HEADER_BYTES, end, 32)
        _, at = read_varint(buffer, at + 1, end, 64)
        _, at = read_varint(buffer, at, end, 32)
        key_size, at = read_varint(buffer, at, end, 32)
        if not _KEY.size <= key_size <= end - at:
            raise ValueError(key_size)
        return Marker(_KEY.unpack_from(buffer, at)[1])
    except ValueError as error:
        raise CorruptBatch(f"batch at byte {position} holds no marker that is known", position=position) from error
