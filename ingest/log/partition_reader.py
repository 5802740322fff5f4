"""Reads of a partition, which never wait for its writer.

A reader works on the list of segments and the watermark as they were when it began. Bytes below the watermark
never change, so the only thing that can happen under it is that retention or compaction takes a file away:
then it looks again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from ingest.errors import OffsetOutOfRange, StorageFailed
from ingest.log import batch_walk
from ingest.log.segment import Segment
from ingest.log.segment_list import SegmentList
from ingest.log.storage_failure import storage
from ingest.wire.codec import decode_batch

ATTEMPTS = 20
REMEMBERED = 64

T = TypeVar("T")


class Watermark(NamedTuple):
    """The end of what is on disk: an offset, and where it lies. Published as one value."""

    offset: int
    segment: Segment
    position: int

    def end_in(self, segment: Segment) -> int:
        """Up to which byte ``segment`` may be read."""
        if segment.base_offset == self.segment.base_offset:
            return self.position
        return segment.size_bytes if segment.base_offset < self.segment.base_offset else 0


@dataclass(frozen=True, slots=True)
class ReadResult:
    """Whole batches in ``buffer``, the first of which holds ``start`` (or is the next after a gap).

    Read on at ``end``. ``aborted`` lists, for committed reads, ``(producer id, first, last offset)`` of the
    transactions that are void in this range.
    """

    buffer: memoryview
    start: int
    end: int
    aborted: list[tuple[int, int, int]]
    high_watermark: int
    last_stable_offset: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """What of a partition a reader may see, taken at one moment."""

    place: str
    start: int
    end: int
    watermark: Watermark
    stable: int


class PartitionReader:
    """Thread-safe."""

    def __init__(self, segments: SegmentList) -> None:
        self._segments = segments
        # Where sequential readers go on: next offset -> (segment, position).
        self._ends: dict[int, tuple[Segment, int]] = {}

    def read(self, bounds: Bounds, offset: int, max_bytes: int, *, committed: bool) -> ReadResult:
        """See ``PartitionLog.read``."""
        high_watermark = bounds.watermark.offset
        if offset < bounds.start or offset > max(bounds.end, high_watermark):
            raise OffsetOutOfRange(
                f"offset {offset} of {bounds.place} is not between {bounds.start}, where the log starts, "
                f"and {bounds.end}, where it ends",
                offset=offset,
                start=bounds.start,
                end=bounds.end,
            )
        limit = bounds.stable if committed else high_watermark
        buffer, end = memoryview(b""), offset
        aborted: list[tuple[int, int, int]] = []
        if offset < limit:
            buffer, end = self._again(lambda: self._read(offset, max_bytes, bounds.watermark, limit))
            aborted = self.aborted(offset, end) if committed else []
        return ReadResult(buffer, offset, end, aborted, high_watermark, bounds.stable)

    def aborted(self, start: int, end: int) -> list[tuple[int, int, int]]:
        """The transactions that are void in ``start``..``end``."""
        found = []
        for segment in self._segments.from_offset(start):
            entries, complete = segment.transactions.between(start, end)
            found += [(entry.producer_id, entry.first_offset, entry.last_offset) for entry in entries]
            if complete:
                break
        return found

    def offset_for_time(self, timestamp_ms: int, start: int, watermark: Watermark) -> int | None:
        """The first offset from ``start`` on, below the watermark, with at least this timestamp."""
        return self._again(lambda: self._offset_for_time(timestamp_ms, start, watermark))

    def _again(self, look: Callable[[], T]) -> T:
        for _ in range(ATTEMPTS):
            segments = self._segments.all
            try:
                with storage(self._segments.active.path, "read"):
                    return look()
            except StorageFailed as error:
                if not isinstance(error.__cause__, FileNotFoundError) or segments is self._segments.all:
                    raise
        with storage(self._segments.active.path, "read"):
            return look()

    def _read(self, offset: int, max_bytes: int, watermark: Watermark, limit: int) -> tuple[memoryview, int]:
        for segment in self._segments.from_offset(offset):
            position = self._find(segment, offset)
            end = watermark.end_in(segment)
            if position is None or position >= end:
                continue
            buffer, next_offset = segment.read(position, end, max_bytes, limit)
            if not buffer:
                break
            self._remember(next_offset, segment, position + len(buffer))
            return buffer, next_offset
        return memoryview(b""), limit

    def _find(self, segment: Segment, offset: int) -> int | None:
        known = self._ends.get(offset)
        return known[1] if known and known[0] is segment else segment.find(offset)

    def _remember(self, offset: int, segment: Segment, position: int) -> None:
        if len(self._ends) >= REMEMBERED:
            self._ends = {}
        self._ends[offset] = (segment, position)

    def _offset_for_time(self, timestamp_ms: int, start: int, watermark: Watermark) -> int | None:
        for segment in self._segments.from_offset(start):
            if segment.largest_timestamp() < timestamp_ms:
                continue
            found = _first_at(segment, timestamp_ms, start, watermark.end_in(segment))
            if found is not None:
                return found
        return None


def _first_at(segment: Segment, timestamp_ms: int, start: int, end: int) -> int | None:
    file = segment.file()
    position = segment.find(max(start, segment.time_index.offset_before(timestamp_ms)))
    if position is None:
        return None
    for at, header in batch_walk.headers(file, position, end):
        if header.max_timestamp < timestamp_ms or header.is_control:
            continue
        content = file.read_at(header.size_bytes, at)
        if len(content) < header.size_bytes:
            raise batch_walk.damaged(file, at)
        columns = decode_batch(content, header, want_headers=False)
        late = columns.timestamps >= timestamp_ms
        if columns.offsets is not None:
            late &= columns.offsets >= start
            if late.any():
                return int(columns.offsets[late.argmax()])
    return None
