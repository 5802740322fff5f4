"""Going through the batches of a segment file, header by header.

``steps`` and ``headers`` trust the file, as everything on disk before a clean shutdown or below the recovery
point is trusted; ``checked`` trusts nothing. All of them hold at most one batch in memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ingest.errors import CorruptBatch, WireError
from ingest.log.log_file import LogFile
from ingest.wire.batch import HEADER_BYTES, LOG_OVERHEAD, BatchHeader, check_crc, read_header

START = struct.Struct(">qi")
LAST_OFFSET_DELTA = struct.Struct(">i")
LAST_OFFSET_DELTA_AT = 23
CHUNK_BYTES = 1 << 20
# No larger batch is written, so a larger one on disk is a lying length.
LARGEST_BATCH_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Step:
    """Where a batch lies in its file, and the offsets it covers."""

    position: int
    size_bytes: int
    base_offset: int
    last_offset: int


@dataclass(slots=True)
class Walk:
    """How far ``checked`` has come: everything before ``position`` is good; ``reason`` says why it stopped."""

    position: int
    next_offset: int
    reason: str | None = None


def steps(file: LogFile, position: int, end: int) -> Iterator[Step]:
    """The batches from ``position`` on that end at or before ``end``. Raises ``CorruptBatch`` if lengths lie."""
    while position + HEADER_BYTES <= end:
        head = file.read_at(LAST_OFFSET_DELTA_AT + 4, position)
        size = batch_bytes(file, head, position)
        if position + size > end:
            return
        (base_offset,) = struct.unpack_from(">q", head)
        (delta,) = LAST_OFFSET_DELTA.unpack_from(head, LAST_OFFSET_DELTA_AT)
        yield Step(position, size, base_offset, base_offset + delta)
        position += size


def headers(file: LogFile, position: int, end: int) -> Iterator[tuple[int, BatchHeader]]:
    """Position and header of each whole batch between ``position`` and ``end``."""
    while position + HEADER_BYTES <= end:
        header = read_header(file.read_at(HEADER_BYTES, position))
        if position + header.size_bytes > end:
            return
        yield position, header
        position += header.size_bytes


def checked(
    file: LogFile, walk: Walk, end: int, *, trusted_below: int = 0
) -> Iterator[tuple[int, BatchHeader, memoryview]]:
    """Position, header and bytes of each good batch; stops before the first bad one and says why in ``walk``.

    Batches below offset ``trusted_below`` are believed if their headers make sense.
    """
    chunk, chunk_start = memoryview(b""), walk.position
    while walk.position < end:
        at = walk.position - chunk_start
        if len(chunk) - at < HEADER_BYTES:
            chunk, chunk_start, at = _chunk(file, walk.position, end, CHUNK_BYTES), walk.position, 0
        try:
            header = _sound_header(chunk, at, end - walk.position, walk.next_offset)
            if header.size_bytes > len(chunk) - at:
                wanted = max(CHUNK_BYTES, header.size_bytes)
                chunk, chunk_start, at = _chunk(file, walk.position, end, wanted), walk.position, 0
            if header.base_offset >= trusted_below:
                check_crc(chunk, header, at)
        except WireError as error:
            walk.reason = error.message
            return
        yield walk.position, header, chunk[at : at + header.size_bytes]
        walk.position += header.size_bytes
        walk.next_offset = header.next_offset


def batch_bytes(file: LogFile, head: bytes, position: int) -> int:
    """The size of the batch that begins with ``head``; raises ``CorruptBatch`` that names the file."""
    if len(head) >= LOG_OVERHEAD:
        size = int(START.unpack_from(head)[1]) + LOG_OVERHEAD
        if size >= HEADER_BYTES:
            return size
    raise damaged(file, position)


def damaged(file: LogFile, position: int) -> CorruptBatch:
    """The error for trusted bytes that turn out to be none."""
    return CorruptBatch(
        f"{file.path} is damaged at byte {position}: no whole record batch stands there",
        hint="`ingest check` tells what is left",
        path=str(file.path),
        position=position,
    )


def _chunk(file: LogFile, position: int, end: int, size: int) -> memoryview:
    return memoryview(file.read_at(min(size, end - position), position))


def _sound_header(buffer: memoryview, at: int, left: int, next_offset: int) -> BatchHeader:
    """The header at ``at`` if it can be the next one of its segment; raises ``CorruptBatch``."""
    if left < HEADER_BYTES:
        raise CorruptBatch(f"{left} bytes are left, less than a batch header")
    header = read_header(buffer, at)
    if header.size_bytes > left:
        raise CorruptBatch(f"a batch of {header.size_bytes} bytes was begun, {left} of them are there")
    if header.size_bytes > LARGEST_BATCH_BYTES:
        raise CorruptBatch(f"a batch of {header.size_bytes} bytes, more than the largest that is written")
    if header.base_offset < next_offset or header.last_offset < header.base_offset:
        raise CorruptBatch(f"a batch of offset {header.base_offset} where {next_offset} or more must follow")
    return header
