"""One partition's log: appended to by one thread at a time, read by any number.

What is appended lies in the page cache; ``sync`` puts it on disk and only then do readers see it: the synced
offset is the high watermark. A sync that fails takes back what was not on disk, as the system may have dropped
it: the log ends at the high watermark again, and the next append or sync first sees to it that the file does.

Fail points, in order of the steps:
``log.append.before`` ``log.append.written``  |  ``log.sync.before`` ``log.sync.data`` ``log.sync.done``  |
``log.roll.before`` ``log.roll.sealed`` ``log.roll.created`` ``log.roll.done``  |
``log.cut.before`` ``log.cut.done``  |  ``log.recover.begin`` ``log.recover.cut`` ``log.recover.segment``
``log.recover.done``  |  ``log.retain.before`` ``log.retain.segment`` ``log.retain.done``  |
``log.compact.written`` ``log.compact.synced`` ``log.compact.swap`` ``log.compact.removed`` ``log.compact.replaced``
``log.compact.done``  |
``log.close.before`` ``log.close.done``
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from ingest.environment import Environment
from ingest.errors import Closed, OffsetOutOfRange, StorageFailed
from ingest.log.append_plan import AppendInfo, AppendPlan, AppendRules, Kind
from ingest.log.compaction import Compaction, CompactionResult, cleanable, is_due, read_cleaned_offset
from ingest.log.leftovers import clear_snapshots
from ingest.log.log_file import LogFile
from ingest.log.partition_reader import Bounds, PartitionReader, ReadResult, Watermark
from ingest.log.producer_replay import producers_at
from ingest.log.producer_snapshot import write_snapshot
from ingest.log.recovery import LoadedLog, Recovery, fill_indexes
from ingest.log.retention import outlived
from ingest.log.segment import Segment
from ingest.log.segment_list import SegmentList
from ingest.log.segment_names import SNAPSHOT, file_path
from ingest.log.segment_swap import commit_swap, finish_swap
from ingest.log.storage_failure import storage, storage_failed
from ingest.log.topic_config import TopicConfig
from ingest.log.unsynced import Unsynced

__all__ = ["AppendInfo", "PartitionLog", "ReadResult"]


def _silent(_: str) -> None:
    """Reports to nobody."""


class PartitionLog:
    """See the module. All methods are thread-safe; ``append`` and the housekeeping exclude each other."""

    def __init__(
        self, folder: Path, topic: str, partition: int, config: TopicConfig, env: Environment, loaded: LoadedLog
    ) -> None:
        self.folder = folder
        self.topic = topic
        self.partition = partition
        self.config = config
        self._env = env
        self._segments = SegmentList(loaded.segments)
        self._producers = loaded.producers
        self._epochs = loaded.epochs
        self._log_start = loaded.log_start_offset
        self._log_end = loaded.log_end_offset
        active = self._segments.active
        self._watermark = Watermark(loaded.log_end_offset, active, active.size_bytes)
        self._reader = PartitionReader(self._segments)
        self._lock = threading.RLock()
        self._sync_lock = threading.Lock()  # taken before _lock
        self._compact_lock = threading.Lock()  # taken before both
        self._unsynced = Unsynced(folder)
        self._half_swapped: list[tuple[Segment, list[Segment]]] = []  # compacted, not yet in its place on disk
        self._doomed: list[Segment] = []  # no longer part of the log, still on disk
        self._untrimmed = False  # a failed write has left bytes behind the end
        self._cut_needed = False  # a failed sync: what is behind the watermark must go
        self._cuts: list[int] = []  # the watermark at each cut
        self._closed = False
        self._jitter_ms = self._draw_jitter()

    @classmethod
    def open(
        cls,
        folder: Path,
        topic: str,
        partition: int,
        config: TopicConfig,
        env: Environment,
        *,
        clean: bool = False,
        recovery_point: int = 0,
        log_start_offset: int = 0,
        report: Callable[[str], None] = _silent,
    ) -> PartitionLog:
        """Opens for writing; makes the folder if it is not there. Raises ``StorageFailed``.

        With ``clean``, the last shutdown was; otherwise what lies at or after ``recovery_point`` is checked and
        the torn tail cut; ``report`` gets a sentence for each thing that was done. All that the opened log
        holds is on disk.
        """
        with storage(folder, "open"):
            if not folder.is_dir():
                folder.mkdir(parents=True)
                env.disk.sync_folder(folder.parent)
        tell = lambda what: report(f"{topic}-{partition}: {what}")  # noqa: E731
        loaded = Recovery(
            folder, env, config, tell, clean=clean, recovery_point=recovery_point, log_start_offset=log_start_offset
        ).run()
        return cls(folder, topic, partition, config, env, loaded)

    # --- where the log stands

    @property
    def log_start_offset(self) -> int:
        return self._log_start

    @property
    def log_end_offset(self) -> int:
        """The offset that the next append gets."""
        return self._log_end

    @property
    def high_watermark(self) -> int:
        """The synced offset: readers see what is before it."""
        return self._watermark.offset

    @property
    def last_stable_offset(self) -> int:
        """Committed readers see what is before it."""
        return self._stable(self._watermark.offset)

    @property
    def cuts(self) -> int:
        """How often a failed sync has taken back what was appended."""
        return len(self._cuts)

    def is_cut(self, appended: AppendInfo) -> bool:
        """Whether a failed sync has taken back this append; others may have its offsets since."""
        return any(end <= appended.base_offset for end in self._cuts[appended.cuts :])

    @property
    def recovery_point(self) -> int:
        """Everything before it is on disk, indexes of closed segments included."""
        return self._watermark.offset

    @property
    def unsynced_bytes(self) -> int:
        return self._unsynced.bytes

    @property
    def size_bytes(self) -> int:
        """Of all log files, without the indexes."""
        return self._segments.size_bytes

    @property
    def leader_epoch(self) -> int:
        return self._epochs.current

    def epoch_end_offset(self, epoch: int) -> tuple[int, int]:
        """The largest known epoch up to ``epoch`` and the offset where it ends; (-1, -1) if none is known."""
        with self._lock:
            return self._epochs.end_offset(epoch, self._log_end)

    def open_transactions(self) -> dict[int, tuple[int, int]]:
        """Producer id -> epoch and first offset of its open transaction."""
        with self._lock:
            return self._producers.open_transactions()

    # --- writing

    def append(
        self,
        batches: bytearray | memoryview,
        *,
        now_ms: int,
        kind: Kind = "client",
        check_crc: bool = True,
        expected_cuts: int | None = None,
    ) -> AppendInfo:
        """Appends one or more whole batches, all or nothing; ``batches`` gets its offsets in place.

        On return the bytes are in the page cache: ``sync`` makes them durable and visible. See ``AppendRules``
        for what ``kind`` checks. Raises ``CorruptBatch``, ``TooLarge``, ``RecordInvalid``, ``Fenced``,
        ``SequenceOutOfOrder``, and ``StorageFailed``, after which the same call may be made again; but with
        ``expected_cuts`` (for an append that follows others) it is final if ``cuts`` has become another.
        """
        with self._lock:
            self._ensure_writable()
            rules = AppendRules(kind, check_crc, self.config, now_ms)
            plan = AppendPlan(batches, self._producers, self._log_end, rules)
            if expected_cuts not in (None, self.cuts):
                raise StorageFailed(f"what was appended to {self.topic}-{self.partition} before this is lost")
            if earlier := plan.duplicate(self.cuts):
                return earlier
            self._env.fail.hit("log.append.before")
            self._roll_if_full(len(batches), plan.next_offset - 1, now_ms)
            plan.place(self._epochs.current)
            self._write(batches, plan, now_ms)
            self._env.fail.hit("log.append.written")
            return plan.info(self.cuts)

    def sync(self) -> int:
        """Puts everything appended so far on disk, shows it to readers; returns the new high watermark.

        Called by one thread, while others append. On ``StorageFailed`` all that was not on disk is taken back:
        its appenders must be told.
        """
        with self._sync_lock:
            with self._lock:
                self._ensure_writable()
                if not self._unsynced:
                    return self._watermark.offset
                taken = self._unsynced.take()
                active = self._segments.active
                reached = Watermark(self._log_end, active, active.size_bytes)
            try:
                taken.sync(self._env)
            except OSError as error:
                self._sync_failed()
                raise storage_failed(error, self.folder, "sync") from error
            except BaseException:
                # Not the disk's fault (an interrupt, say): nothing is known to be on disk, nothing to be lost.
                with self._lock:
                    self._unsynced.give_back(taken)
                raise
            with self._lock:
                self._watermark = reached
            return reached.offset

    def roll(self, now_ms: int | None = None) -> None:
        """Closes the active segment, if it holds anything, and begins a new one."""
        with self._lock:
            self._ensure_writable()
            if self._segments.active.size_bytes:
                self._roll(self._env.clock.now_ms() if now_ms is None else now_ms)

    # --- reading

    def read(self, offset: int, max_bytes: int, *, committed: bool) -> ReadResult:
        """Whole batches from ``offset`` on, ``max_bytes`` of them but at least one if one is visible.

        With ``committed``, up to the last stable offset. An empty result with an ``end`` beyond ``offset``
        means that there is a gap. Raises ``OffsetOutOfRange`` below the log start or above the log end.
        """
        self._ensure_open()
        watermark = self._watermark
        place = f"{self.topic}-{self.partition}"
        bounds = Bounds(place, self._log_start, self._log_end, watermark, self._stable(watermark.offset))
        return self._reader.read(bounds, offset, max_bytes, committed=committed)

    def offset_for_time(self, timestamp_ms: int) -> int | None:
        """The first visible offset whose record has this timestamp or a later one; None if there is none."""
        return self._reader.offset_for_time(timestamp_ms, self._log_start, self._watermark)

    # --- housekeeping

    def delete_before(self, offset: int) -> None:
        """Moves the log start to ``offset``; durable once the caller has written down ``log_start_offset``."""
        with self._lock:
            self._ensure_open()
            if offset > self._watermark.offset:
                raise OffsetOutOfRange(
                    f"cannot delete up to offset {offset} of {self.topic}-{self.partition}: "
                    f"it ends at {self._watermark.offset}",
                    offset=offset, start=self._log_start, end=self._watermark.offset,
                )  # fmt: skip
            self._advance_start(offset)

    def retain(self, now_ms: int, hold_offset: int | None = None) -> int:
        """Removes segments that the topic's settings no longer keep; returns how many.

        Nothing at or after ``hold_offset`` goes (unless the topic says otherwise), and nothing that a
        committed reader cannot see yet. Called by the housekeeping every few minutes.
        """
        with self._lock:
            self._ensure_writable()
            self._producers.expire(now_ms)
            keep_from = self.last_stable_offset
            if hold_offset is not None and not self.config.ingest_retention_ignores_sinks:
                keep_from = min(keep_from, hold_offset)
            gone = outlived(self._segments.all, self.config, now_ms, self._log_start, keep_from)
            if gone == len(self._segments.all):
                self._roll(now_ms)
                # Its name tells the next offset: it must be there before the last record goes.
                with storage(self.folder, "sync"):
                    self._env.disk.sync_folder(self.folder)
            return self._remove_oldest(gone)

    def compact(self, now_ms: int) -> CompactionResult:
        """Keeps the last value of each key in closed segments, if that is due by the topic's settings.

        Runs beside appends and reads; a second caller waits. Crash-safe at every step; see ``segment_swap``.
        """
        with self._compact_lock:
            with self._lock:
                self._ensure_writable()
                if not self.config.compacts:
                    return CompactionResult()
                active = self._segments.active
                if active.size_bytes and now_ms - active.created_ms > self.config.max_compaction_lag_ms:
                    self._roll(now_ms)
                closed = cleanable(self._segments.all, self.config, now_ms, self.last_stable_offset)
                dirty_from = min(read_cleaned_offset(self.folder), self._log_end)
                if not is_due(closed, dirty_from, self.config, now_ms):
                    return CompactionResult(clean_until=dirty_from)
                producers = self._producers.producers.values()
                task = Compaction(
                    folder=self.folder,
                    env=self._env,
                    config=self.config,
                    now_ms=now_ms,
                    segments=closed,
                    dirty_from=max(dirty_from, self._log_start),
                    aborted=[entry for segment in self._segments.all for entry in segment.transactions.entries],
                    last_offsets={p.producer_id: p.batches[-1].last_offset for p in producers if p.batches},
                    install=self._install,
                )
            with storage(self.folder, "compact"):
                return task.run()

    # --- closing

    def close(self, clean: bool = True) -> None:
        """Syncs, writes indexes and producer state, and closes. Without ``clean`` it just lets go. Idempotent."""
        if self._closed:
            return
        try:
            if clean:
                self.sync()
                with self._lock:
                    self._env.fail.hit("log.close.before")
                    self._write_down()
                    self._env.fail.hit("log.close.done")
        finally:
            with self._sync_lock, self._lock:
                self._closed = True

    def delete(self) -> None:
        """Closes, and removes the folder with all that is in it."""
        with self._compact_lock, self._sync_lock, self._lock, storage(self.folder, "remove"):
            self._closed = True
            for path in list(self.folder.iterdir()):
                self._env.disk.unlink(path)
            self.folder.rmdir()
            self._env.disk.sync_folder(self.folder.parent)

    # --- inside, with the lock held

    def _stable(self, high_watermark: int) -> int:
        unstable = self._producers.first_unstable()
        return high_watermark if unstable is None else min(unstable, high_watermark)

    def _ensure_open(self) -> None:
        if self._closed:
            raise Closed(f"the log of {self.topic}-{self.partition} is closed")

    def _ensure_writable(self) -> None:
        """Puts the file right first if an earlier write or sync has failed."""
        self._ensure_open()
        if self._half_swapped:
            with storage(self.folder):
                self._finish_swaps()
        if self._cut_needed:
            self._cut_back()
        elif self._untrimmed:
            active = self._segments.active
            with storage(active.path):
                active.trim(self._env.disk)
            self._untrimmed = False

    def _write(self, batches: bytearray | memoryview, plan: AppendPlan, now_ms: int) -> None:
        active = self._segments.active
        try:
            active.append(batches, plan.batches, now_ms, self.config.index_interval_bytes)
        except OSError as error:
            self._untrimmed = True
            failure = storage_failed(error, active.path)
            self._try_to_trim()
            raise failure from error
        for aborted in self._producers.apply(plan.update):
            active.transactions.append(aborted)
        self._log_end = plan.next_offset
        self._unsynced.appended(active.file(), len(batches))

    def _try_to_trim(self) -> None:
        """Gives back the room that a half-written append takes; if that fails the next append tries again."""
        try:
            self._ensure_writable()
        except StorageFailed:
            return

    def _roll_if_full(self, more_bytes: int, last_offset: int, now_ms: int) -> None:
        if self._segments.active.is_full(self.config, more_bytes, last_offset, now_ms, self._jitter_ms):
            self._roll(now_ms)

    def _roll(self, now_ms: int) -> None:
        """The old segment stays the active one if any step fails."""
        old, fail = self._segments.active, self._env.fail
        fail.hit("log.roll.before")
        with storage(self.folder):
            derived = old.write_indexes(self._env.disk)
            fail.hit("log.roll.sealed")
            snapshot = file_path(self.folder, self._log_end, SNAPSHOT)
            write_snapshot(snapshot, self._producers.producers.values(), now_ms)
            new = Segment.create(self.folder, self._log_end, now_ms)
        fail.hit("log.roll.created")
        self._unsynced.rolled([*derived, snapshot])
        self._segments.add(new)
        old.seal()
        self._jitter_ms = self._draw_jitter()
        fail.hit("log.roll.done")

    def _sync_failed(self) -> None:
        """The system may have dropped what it could not write: the log ends at the watermark again."""
        with self._lock:
            self._cut_needed = True
            self._cuts.append(self._watermark.offset)
            self._log_end = self._watermark.offset
            self._unsynced.take()
            try:
                self._cut_back()
            except StorageFailed:
                return  # the next append or sync tries again, and says so if it cannot either

    def _cut_back(self) -> None:
        """Removes from disk and memory what lies behind the watermark. Raises ``StorageFailed``."""
        disk, end = self._env.disk, self._watermark
        self._env.fail.hit("log.cut.before")
        with storage(self.folder, "cut back"):
            kept = [segment for segment in self._segments.all if segment.base_offset <= end.offset]
            for segment in reversed(self._segments.all[len(kept) :]):
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
            self._epochs.begin(self._epochs.current + 1, end.offset)
            self._epochs.write(disk)
            disk.sync_folder(self.folder)
        self._segments.replace(self._segments.all[len(kept) - 1 :], [fresh])
        self._watermark = Watermark(end.offset, fresh, fresh.size_bytes)
        self._producers = producers
        self._cut_needed = self._untrimmed = False
        self._env.fail.hit("log.cut.done")

    def _advance_start(self, offset: int) -> None:
        self._log_start = max(self._log_start, offset)
        self._epochs.cut_head(self._log_start)
        bases = [segment.base_offset for segment in self._segments.all[1:]]
        self._remove_oldest(sum(base <= self._log_start for base in bases))

    def _remove_oldest(self, count: int) -> int:
        """Takes segments from readers first, then from the disk; what the disk refuses is tried again next time."""
        oldest = self._segments.all[:count]
        self._segments.replace(oldest, [])
        self._log_start = max(self._log_start, self._segments.all[0].base_offset)
        self._doomed += oldest
        if not self._doomed:
            return 0
        self._env.fail.hit("log.retain.before")
        with storage(self.folder, "remove segments from"):
            while self._doomed:
                self._doomed[0].remove(self._env.disk)
                del self._doomed[0]
                self._env.fail.hit("log.retain.segment")
            bases = {segment.base_offset for segment in self._segments.all}
            clear_snapshots(self.folder, bases, self._log_end, self._env.disk)
            self._env.disk.sync_folder(self.folder)
        self._env.fail.hit("log.retain.done")
        return count

    def _install(self, old: Sequence[Segment], new: Segment) -> bool:
        """Puts a compacted segment in the place of those it was made from; false if retention took one of them."""
        with self._lock:
            self._ensure_open()
            if not set(old) <= set(self._segments.all):
                return False
            commit_swap(self.folder, new.base_offset, self._env.disk)
            self._env.fail.hit("log.compact.swap")
            new.created_ms, new.next_offset = old[0].created_ms, old[-1].next_offset
            # Until the files have their names, readers use the new segment's open file and its index in memory.
            self._segments.replace(old, [new])
            self._half_swapped.append((new, list(old[1:])))
            self._finish_swaps()
            return True

    def _finish_swaps(self) -> None:
        """Gives compacted segments their names; what the disk refuses is tried again with the next write."""
        while self._half_swapped:
            new, covered = self._half_swapped[0]
            finish_swap(self.folder, new.base_offset, self._env.disk, self._env.fail)
            for segment in reversed(covered):
                segment.remove(self._env.disk)
            new.takes_name()
            new.seal()
            del self._half_swapped[0]

    def _write_down(self) -> None:
        """What a clean start reads instead of the log: indexes and producer state."""
        disk, active = self._env.disk, self._segments.active
        with storage(self.folder):
            derived = active.write_indexes(disk)
            snapshot = file_path(self.folder, self._log_end, SNAPSHOT)
            if active.size_bytes:
                write_snapshot(snapshot, self._producers.producers.values(), active.last_append_ms)
                derived.append(snapshot)
            clear_snapshots(self.folder, {s.base_offset for s in self._segments.all}, self._log_end, disk)
            for path in derived:
                LogFile.open(path).sync(disk)
            disk.sync_folder(self.folder)

    def _draw_jitter(self) -> int:
        return self._env.random.randint(0, self.config.segment_jitter_ms)
