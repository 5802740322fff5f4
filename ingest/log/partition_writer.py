"""The writing end of a partition: the active segment, producer state, and what has yet to reach the disk.

What is appended lies in the page cache; ``sync`` puts it on disk and only then moves the watermark, up to which
readers see. A sync that fails takes back what was not on disk, as the system may have dropped it: the log ends at
the watermark again, and the next append or sync first sees to it that the file does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from ingest.environment import Environment
from ingest.errors import Closed, CorruptBatch, StorageFailed
from ingest.log.append_plan import AppendInfo, AppendPlan, AppendRules
from ingest.log.leftovers import clear_snapshots
from ingest.log.log_file import LogFile
from ingest.log.partition_reader import Watermark
from ingest.log.producer_replay import producers_at
from ingest.log.producer_snapshot import write_snapshot
from ingest.log.recovery import LoadedLog, fill_indexes
from ingest.log.segment import Segment
from ingest.log.segment_list import SegmentList
from ingest.log.segment_names import SNAPSHOT, file_path
from ingest.log.storage_failure import storage, storage_failed
from ingest.log.topic_config import TopicConfig
from ingest.log.unsynced import Unsynced


class PartitionWriter:
    """Thread-safe. ``lock`` guards everything but a running sync; ``sync_lock`` is taken before it."""

    def __init__(self, folder: Path, place: str, config: TopicConfig, env: Environment, loaded: LoadedLog) -> None:
        self.folder = folder
        self.place = place
        self.config = config
        self.env = env
        self.segments = SegmentList(loaded.segments)
        self.producers = loaded.producers
        self.epochs = loaded.epochs
        self.log_end = loaded.log_end_offset
        active = self.segments.active
        self.watermark = Watermark(loaded.log_end_offset, active, active.size_bytes)
        self.unsynced = Unsynced(folder)
        self.cuts: list[int] = []  # the watermark at each cut
        self.lock = threading.RLock()
        self.sync_lock = threading.Lock()
        self.first_of_all: Callable[[], None] = lambda: None  # what must be finished before anything is written
        self._untrimmed = False  # a failed write has left bytes behind the end
        self._cut_needed = False  # a failed sync: what is behind the watermark must go
        self._closed = False
        self._jitter_ms = self._draw_jitter()

    @property
    def stable(self) -> int:
        """Committed readers see what is before it."""
        watermark, unstable = self.watermark.offset, self.producers.first_unstable()
        return watermark if unstable is None else min(unstable, watermark)

    def append(
        self, batches: bytearray | memoryview, rules: AppendRules, expected_cuts: int | None = None
    ) -> AppendInfo:
        """See ``PartitionLog.append``."""
        with self.lock:
            self.ensure_writable()
            if expected_cuts is not None and expected_cuts != len(self.cuts):
                raise StorageFailed(f"what was appended to {self.place} before this is lost", path=str(self.folder))
            plan = AppendPlan(batches, self.producers, self.log_end, rules)
            if earlier := plan.duplicate(len(self.cuts)):
                return earlier
            self.env.fail.hit("log.append.before")
            active = self.segments.active
            if active.is_full(self.config, len(batches), plan.next_offset - 1, rules.now_ms, self._jitter_ms):
                self.roll(rules.now_ms)
            plan.place(self.epochs.current)
            self._write(batches, plan, rules.now_ms)
            self.env.fail.hit("log.append.written")
            return plan.info(len(self.cuts))

    def append_all(
        self, batches: Iterable[bytearray], rules: AppendRules, expected_cuts: int | None = None
    ) -> AppendInfo:
        """See ``PartitionLog.append_all``."""
        first = last = None
        largest = -1
        with self.lock:
            for batch in batches:
                last = self.append(batch, rules, expected_cuts)
                first = last if first is None else first
                largest = max(largest, last.max_timestamp)
            if first is None or last is None:
                raise CorruptBatch("an append of no batches")
            return replace(last, base_offset=first.base_offset, max_timestamp=largest)

    def sync(self) -> int:
        """See ``PartitionLog.sync``."""
        with self.sync_lock:
            with self.lock:
                self.ensure_writable()
                if not self.unsynced:
                    return self.watermark.offset
                taken, cuts = self.unsynced.take(), len(self.cuts)
                active = self.segments.active
                reached = Watermark(self.log_end, active, active.size_bytes)
            try:
                taken.sync(self.env)
            except OSError as error:
                self._sync_failed()
                raise storage_failed(error, self.folder, "sync") from error
            except BaseException:
                # Not the disk's fault (an interrupt, say): nothing is known to be on disk, nothing to be lost.
                with self.lock:
                    self.unsynced.give_back(taken)
                raise
            with self.lock:
                if len(self.cuts) != cuts:
                    raise StorageFailed(f"{self.place} was cut back during its sync", path=str(self.folder))
                self.watermark = reached
            return reached.offset

    def roll(self, now_ms: int) -> None:
        """Begins a new segment, with the lock held. The old one stays active if any step fails.

        The old one is synced first: else a power cut could take its end and leave the beginning of the new one,
        and nobody could tell that hole from one that compaction made.
        """
        old, fail = self.segments.active, self.env.fail
        fail.hit("log.roll.before")
        self._sync_before_roll()
        with storage(self.folder):
            derived = old.write_indexes(self.env.disk)
            fail.hit("log.roll.sealed")
            snapshot = file_path(self.folder, self.log_end, SNAPSHOT)
            write_snapshot(snapshot, self.producers.producers.values(), now_ms)
            new = Segment.create(self.folder, self.log_end, now_ms)
        fail.hit("log.roll.created")
        self.unsynced.rolled([*derived, snapshot])
        self.segments.add(new)
        old.seal()
        self._jitter_ms = self._draw_jitter()
        fail.hit("log.roll.done")

    def _sync_before_roll(self) -> None:
        """Does not count on a sync that another thread has under way."""
        if self.watermark.offset == self.log_end:
            return
        try:
            self.segments.active.file().sync(self.env.disk)
            self.env.disk.sync_folder(self.folder)
        except OSError as error:
            self._sync_failed()
            raise storage_failed(error, self.folder, "sync") from error

    def ensure_open(self) -> None:
        if self._closed:
            raise Closed(f"the log of {self.place} is closed")

    def ensure_writable(self) -> None:
        """Puts right first, with the lock held, what an earlier write or sync that failed has left."""
        self.ensure_open()
        self.first_of_all()
        if self._cut_needed:
            self._cut_back()
        elif self._untrimmed:
            active = self.segments.active
            with storage(active.path):
                active.trim(self.env.disk)
            self._untrimmed = False

    def close(self, clean: bool) -> None:
        """See ``PartitionLog.close``."""
        if self._closed:
            return
        try:
            if clean:
                self.sync()
                with self.lock:
                    self.env.fail.hit("log.close.before")
                    self._write_down()
                    self.env.fail.hit("log.close.done")
        finally:
            with self.sync_lock, self.lock:
                self._closed = True
                self.unsynced.take()
                self.segments.active.let_go()

    def _write(self, batches: bytearray | memoryview, plan: AppendPlan, now_ms: int) -> None:
        active = self.segments.active
        try:
            active.append(batches, plan.batches, now_ms, self.config.index_interval_bytes)
        except OSError as error:
            self._untrimmed = True
            failure = storage_failed(error, active.path)
            self._try_to_trim()
            raise failure from error
        active.transactions.entries += self.producers.apply(plan.update)
        self.log_end = plan.next_offset
        self.unsynced.appended(active.file(), len(batches))

    def _try_to_trim(self) -> None:
        """Gives back the room that a half-written append takes; if that fails the next append tries again."""
        try:
            self.ensure_writable()
        except StorageFailed:
            return

    def _sync_failed(self) -> None:
        """The system may have dropped what it could not write: the log ends at the watermark again."""
        with self.lock:
            self._cut_needed = True
            self.cuts.append(self.watermark.offset)
            self.log_end = self.watermark.offset
            self.unsynced.take()
            try:
                self._cut_back()
            except StorageFailed:
                return  # the next append or sync tries again, and says so if it cannot either

    def _cut_back(self) -> None:
        """Removes from disk and memory what lies behind the watermark. Raises ``StorageFailed``."""
        disk, end = self.env.disk, self.watermark
        self.env.fail.hit("log.cut.before")
        with storage(self.folder, "cut back"):
            kept = [segment for segment in self.segments.all if segment.base_offset <= end.offset]
            for segment in reversed(self.segments.all[len(kept) :]):
                segment.remove(disk)
            clear_snapshots(self.folder, {segment.base_offset for segment in kept}, end.offset, disk)
            fresh = Segment.open(self.folder, kept[-1].base_offset)
            fresh.created_ms = kept[-1].created_ms
            fresh.size_bytes = end.end_in(fresh)
            producers = producers_at(self.folder, kept[:-1], fresh.base_offset)
            fill_indexes(fresh, producers, self.config)
            fresh.next_offset = end.offset
            fresh.trim(disk)
            fresh.file().sync(disk)
            self.epochs.begin(self.epochs.current + 1, end.offset)
            self.epochs.write(disk)  # syncs the folder, too
        self.segments.replace(self.segments.all[len(kept) - 1 :], [fresh])
        self.watermark = Watermark(end.offset, fresh, fresh.size_bytes)
        self.producers = producers
        self._cut_needed = self._untrimmed = False
        self.env.fail.hit("log.cut.done")

    def _write_down(self) -> None:
        """What a clean start reads instead of the log: indexes and producer state."""
        disk, active = self.env.disk, self.segments.active
        with storage(self.folder):
            derived = active.write_indexes(disk)
            if active.size_bytes:
                snapshot = file_path(self.folder, self.log_end, SNAPSHOT)
                write_snapshot(snapshot, self.producers.producers.values(), active.last_append_ms)
                derived.append(snapshot)
            clear_snapshots(self.folder, {s.base_offset for s in self.segments.all}, self.log_end, disk)
            for path in derived:
                LogFile.open(path).sync(disk)
            disk.sync_folder(self.folder)

    def _draw_jitter(self) -> int:
        return self.env.random.randint(0, self.config.segment_jitter_ms)
