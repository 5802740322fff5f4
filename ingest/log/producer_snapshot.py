"""Producer state at an offset, as a file: ``<offset>.snapshot``, in Kafka's own bytes.

    version          int16   1
    crc              uint32  CRC-32C of everything after it
    count            int32
    then for each producer
      producer id, epoch, last sequence, last offset, offset delta, timestamp,
      coordinator epoch, first offset of the open transaction (-1: none)

It keeps the last batch of each producer only; the four before it are read from the log again.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from pathlib import Path

from crc32c import crc32c

from ingest.log.producer_entry import AppendedBatch, ProducerEntry

HEADER = struct.Struct(">hIi")
ENTRY = struct.Struct(">qhiqiqiq")
VERSION = 1
CRC_START = 6


def encode_snapshot(entries: Iterable[ProducerEntry]) -> bytes:
    body = bytearray()
    count = 0
    for count, entry in enumerate(entries, 1):  # noqa: B007 - the last count is what is wanted
        last = entry.batches[-1] if entry.batches else AppendedBatch(-1, -1, -1, entry.last_ms)
        body += ENTRY.pack(
            entry.producer_id,
            entry.epoch,
            last.last_sequence,
            last.last_offset,
            last.offset_delta if entry.batches else 0,
            entry.last_ms,
            entry.coordinator_epoch,
            entry.transaction_start,
        )
    checked = struct.pack(">i", count) + body
    return struct.pack(">hI", VERSION, crc32c(checked)) + checked


def decode_snapshot(data: bytes) -> list[ProducerEntry] | None:
    """None for bytes that are not a whole snapshot: the state is then made again from the log."""
    if len(data) < HEADER.size:
        return None
    version, crc, count = HEADER.unpack_from(data)
    whole = len(data) == HEADER.size + count * ENTRY.size
    if version != VERSION or not whole or crc != crc32c(data[CRC_START:]):
        return None
    return [_entry(*fields) for fields in ENTRY.iter_unpack(data[HEADER.size :])]


def read_snapshot(path: Path) -> list[ProducerEntry] | None:
    try:
        return decode_snapshot(path.read_bytes())
    except FileNotFoundError:
        return None


def write_snapshot(path: Path, entries: Iterable[ProducerEntry], time_ms: int) -> None:
    """Writes the file, unsynced: it is derived, and its CRC tells if a crash has torn it. Raises ``OSError``."""
    data = encode_snapshot(entries)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        done = 0
        while done < len(data):
            done += os.write(fd, data[done:])
        os.utime(fd, ns=(time_ms * 1_000_000, time_ms * 1_000_000))
    finally:
        os.close(fd)


def _entry(
    producer_id: int,
    epoch: int,
    last_sequence: int,
    last_offset: int,
    offset_delta: int,
    timestamp_ms: int,
    coordinator_epoch: int,
    transaction_start: int,
) -> ProducerEntry:
    batches: tuple[AppendedBatch, ...] = ()
    if last_sequence >= 0:
        first = last_sequence - offset_delta
        first = first if first >= 0 else first + 2**31
        batches = (AppendedBatch(first, last_sequence, last_offset, timestamp_ms),)
    return ProducerEntry(producer_id, epoch, batches, timestamp_ms, coordinator_epoch, transaction_start)
