"""A partition that another process owns, or nobody: read without a lock and without touching anything.

What may be seen ends at the offset that the owner says is on disk. Where nothing says so, it ends before the
first batch that is not whole and sound.
"""

from __future__ import annotations

import threading
from functools import partial
from itertools import pairwise
from pathlib import Path

from ingest.errors import StorageFailed
from ingest.log import batch_walk
from ingest.log.partition_reader import Bounds, PartitionReader, ReadResult, Watermark
from ingest.log.producer_replay import producers_at, replay
from ingest.log.producer_state import ProducerState
from ingest.log.recovery import fill_indexes
from ingest.log.segment import Segment
from ingest.log.segment_list import SegmentList
from ingest.log.segment_names import LOG, SWAP, offsets_of
from ingest.log.segment_swap import covered_segments
from ingest.log.storage_failure import storage
from ingest.log.topic_config import TopicConfig
from ingest.wire.batch import BatchHeader

ATTEMPTS = 5


class PartitionView:
    """The reading half of ``PartitionLog``. Thread-safe."""

    def __init__(self, folder: Path, topic: str, partition: int, config: TopicConfig) -> None:
        self.folder = folder
        self.topic = topic
        self.partition = partition
        self.config = config
        self._lock = threading.Lock()
        self._segments = SegmentList([Segment(folder, 0)])
        self._reader = PartitionReader(self._segments)
        self._producers = ProducerState()
        self._log_start = 0
        self._limit: int | None = None
        self._watermark = Watermark(0, self._segments.active, 0)

    @classmethod
    def open(
        cls,
        folder: Path,
        topic: str,
        partition: int,
        config: TopicConfig,
        *,
        synced_limit: int | None,
        log_start_offset: int = 0,
    ) -> PartitionView:
        """``synced_limit`` is the owner's high watermark, or None if it is not known."""
        view = cls(folder, topic, partition, config)
        view._limit, view._log_start = synced_limit, log_start_offset
        view._reload()
        return view

    @property
    def log_start_offset(self) -> int:
        return self._log_start

    @property
    def log_end_offset(self) -> int:
        return self._watermark.offset

    @property
    def high_watermark(self) -> int:
        return self._watermark.offset

    @property
    def last_stable_offset(self) -> int:
        unstable, end = self._producers.first_unstable(), self._watermark.offset
        return end if unstable is None else min(unstable, end)

    def open_transactions(self) -> dict[int, tuple[int, int]]:
        """Producer id -> epoch and first offset of its open transaction."""
        return self._producers.open_transactions()

    def refresh(self, synced_limit: int | None, log_start_offset: int = 0) -> None:
        """Takes in what the owner has added since, up to its new ``synced_limit``."""
        with self._lock:
            if synced_limit is not None and self._limit is not None and synced_limit <= self._watermark.offset:
                return
            self._limit = synced_limit
            self._log_start = max(self._log_start, log_start_offset)
            with storage(self.folder, "read"):
                bases = self._visible(offsets_of(self.folder, LOG))
                later = [base for base in bases if base > self._segments.active.base_offset]
                for base in [*later, None]:
                    self._extend(self._segments.active)
                    if base is not None:
                        self._begin(base)
            active = self._segments.active
            self._watermark = Watermark(active.next_offset, active, active.size_bytes)

    def read(self, offset: int, max_bytes: int, *, committed: bool) -> ReadResult:
        """See ``PartitionLog.read``."""
        for attempt in range(ATTEMPTS):
            place = f"{self.topic}-{self.partition}"
            bounds = Bounds(place, self._log_start, self.log_end_offset, self._watermark, self.last_stable_offset)
            try:
                return self._reader.read(bounds, offset, max_bytes, committed=committed)
            except StorageFailed as error:
                if not isinstance(error.__cause__, FileNotFoundError) or attempt == ATTEMPTS - 1:
                    raise
                self._reload()  # the owner's retention or compaction has taken a file away
        raise AssertionError("unreachable")

    def offset_for_time(self, timestamp_ms: int) -> int | None:
        """See ``PartitionLog.offset_for_time``."""
        return self._reader.offset_for_time(timestamp_ms, self._log_start, self._watermark)

    def close(self) -> None:
        """Lets go of the files."""
        with self._lock:
            self._segments.replace(self._segments.all, [Segment(self.folder, self._watermark.offset)])

    def _reload(self) -> None:
        with self._lock, storage(self.folder, "read"):
            closed, last = self._closed_and_last()
            self._producers = producers_at(self.folder, closed, last)
            active = self._opened(last)
            self._segments.replace(self._segments.all, [*closed, active])
            self._extend(active)
            self._log_start = max(self._log_start, self._segments.all[0].base_offset)
            self._watermark = Watermark(active.next_offset, active, active.size_bytes)

    def _closed_and_last(self) -> tuple[list[Segment], int]:
        """The closed segments, and the base offset of the last one; a finished swap counts as swapped."""
        bases = offsets_of(self.folder, LOG)
        swaps = [int(path.name[:20]) for path in self.folder.glob(f"*{LOG}{SWAP}")]
        covered = {base for swap in swaps for base in covered_segments(self.folder, swap)}
        bases = self._visible(sorted({*bases, *swaps} - covered))
        closed: list[Segment] = []
        for base, following in pairwise(bases):
            segment = Segment.open(self.folder, base, suffix=SWAP if base in swaps else "")
            if base in swaps or not segment.load_indexes(following):
                fill_indexes(segment, producers_at(self.folder, closed, base), self.config, writable=False)
            segment.next_offset = following
            closed.append(segment)
        return closed, bases[-1]

    def _visible(self, bases: list[int]) -> list[int]:
        """The segments that begin before the limit, but at least the first."""
        limit = self._limit
        bases = bases or [0]
        return bases if limit is None else [base for base in bases if base < limit] or bases[:1]

    def _opened(self, base_offset: int) -> Segment:
        segment = Segment.open(self.folder, base_offset)
        segment.begin_again(writable=False)
        segment.size_bytes = 0
        return segment

    def _begin(self, base_offset: int) -> None:
        """The owner has rolled: the last segment's indexes are on disk now, a new one follows."""
        old = self._segments.active
        new = self._opened(base_offset)
        old.next_offset = base_offset
        old.seal()
        self._segments.add(new)

    def _extend(self, segment: Segment) -> None:
        """Takes in the batches behind the known end of a segment, up to the limit."""
        file = segment.file()
        size = file.size()
        if self._limit is None:
            walk = batch_walk.Walk(segment.size_bytes, segment.next_offset)
            for at, header, content in batch_walk.checked(file, walk, size):
                self._take(segment, at, header, bytes(content) if header.is_control else b"")
            return
        for at, header in batch_walk.headers(file, segment.size_bytes, size):
            if header.base_offset >= self._limit:
                return
            self._take(segment, at, header, file.read_at(header.size_bytes, at) if header.is_control else b"")

    def _take(self, segment: Segment, position: int, header: BatchHeader, content: bytes) -> None:
        interval = self.config.index_interval_bytes
        segment.note(position, header.size_bytes, header.last_offset, header.max_timestamp, interval)
        segment.transactions.entries += replay(self._producers, header, partial(bytes, content), segment.last_append_ms)
        segment.size_bytes = position + header.size_bytes
