"""Control batches: the markers that end a transaction.

Source: Apache Kafka, "Control Batches"; KIP-98. A control batch holds one record: key ``version, type`` (int16 each),
value ``version`` (int16), ``coordinator epoch`` (int32).
"""

from __future__ import annotations

import enum
import struct
from typing import Any

from ingest.errors import CorruptBatch
from ingest.wire.batch import CONTROL, HEADER_BYTES, TRANSACTIONAL, BatchHeader, seal

_RECORD = struct.Struct(">bbbbbhhbhib")
_MARKER_BYTES = HEADER_BYTES + _RECORD.size
_HEADER = struct.Struct(">qiibIhiqqqhii")


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
    batch = bytearray(_MARKER_BYTES)
    length = _MARKER_BYTES - 12
    _HEADER.pack_into(
        batch, 0, base_offset, length, 0, 2, 0, TRANSACTIONAL | CONTROL, 0, timestamp_ms, timestamp_ms,
        producer_id, producer_epoch, -1, 1,
    )  # fmt: skip
    # The varints (zigzag) of a record's length, timestamp delta, offset delta, key length, value length, header count.
    _RECORD.pack_into(
        batch, HEADER_BYTES, (_RECORD.size - 1) << 1, 0, 0, 0, 4 << 1, 0, kind, 6 << 1, 0, coordinator_epoch, 0
    )
    seal(batch, 0, _MARKER_BYTES)
    return batch


def decode_marker(buffer: Any, header: BatchHeader, position: int = 0) -> Marker:
    """The marker of a control batch; raises ``CorruptBatch`` for anything else."""
    if not header.is_control or header.size_bytes < _MARKER_BYTES:
        raise CorruptBatch(f"batch at byte {position} holds no marker", position=position)
    kind = struct.unpack_from(">h", buffer, position + HEADER_BYTES + 7)[0]
    if kind not in (Marker.ABORT, Marker.COMMIT):
        raise CorruptBatch(f"batch at byte {position} holds a marker of unknown type {kind}", position=position)
    return Marker(kind)
