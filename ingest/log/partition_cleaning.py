"""What takes records out of a partition: the log start, retention, compaction. Beside appends and reads.

Readers lose a segment before the disk does; what the disk refuses to remove or to rename is kept in mind and
tried again with the next cleaning or write.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence

from ingest.errors import OffsetOutOfRange, StorageFailed
from ingest.log.compaction import Compaction, CompactionResult, cleanable, is_due, read_cleaned_offset
from ingest.log.leftovers import clear_snapshots
from ingest.log.partition_writer import PartitionWriter
from ingest.log.retention import outlived
from ingest.log.segment import Segment
from ingest.log.segment_swap import commit_swap, finish_swap, undo_swap
from ingest.log.storage_failure import storage


class PartitionCleaning:
    """Thread-safe. ``lock`` is held by one compaction at a time, and taken before those of the writer."""

    def __init__(self, writer: PartitionWriter, log_start: int) -> None:
        self.log_start = log_start
        self.lock = threading.Lock()
        self._writer = writer
        self._half_swapped: list[tuple[Segment, list[Segment]]] = []  # compacted, not yet in its place on disk
        self._refused_swap: int | None = None  # the base offset of a swap that failed before its commit point
        self._doomed: list[Segment] = []  # no longer part of the log, still on disk
        writer.first_of_all = self._finish_swaps

    def delete_before(self, offset: int) -> None:
        """See ``PartitionLog.delete_before``."""
        writer = self._writer
        with writer.lock:
            writer.ensure_open()
            end = writer.watermark.offset
            if offset > end:
                raise OffsetOutOfRange(
                    f"cannot delete up to offset {offset} of {writer.place}: it ends at {end}",
                    offset=offset,
                    start=self.log_start,
                    end=end,
                )
            self.log_start = max(self.log_start, offset)
            writer.epochs.cut_head(self.log_start)
            bases = [segment.base_offset for segment in writer.segments.all[1:]]
            self._remove_oldest(sum(base <= self.log_start for base in bases))

    def retain(self, now_ms: int, hold_offset: int | None) -> int:
        """See ``PartitionLog.retain``."""
        writer = self._writer
        with writer.lock:
            writer.ensure_writable()
            writer.producers.expire(now_ms)
            keep_from = writer.stable
            if hold_offset is not None and not writer.config.ingest_retention_ignores_sinks:
                keep_from = min(keep_from, hold_offset)
            segments = writer.segments.all
            gone = outlived(segments, writer.config, now_ms, self.log_start, keep_from)
            if gone == len(segments):
                writer.roll(now_ms)
                # Its name tells the next offset: it must be there before the last record goes.
                with storage(writer.folder, "sync"):
                    writer.env.disk.sync_folder(writer.folder)
            return self._remove_oldest(gone)

    def compact(self, now_ms: int, table_bytes: int) -> CompactionResult:
        """See ``PartitionLog.compact``."""
        with self.lock:
            with self._writer.lock:
                task = self._next_compaction(now_ms, table_bytes)
            if task is None:
                return CompactionResult()
            with storage(self._writer.folder, "compact"):
                return task.run()

    def _next_compaction(self, now_ms: int, table_bytes: int) -> Compaction | None:
        writer, config = self._writer, self._writer.config
        writer.ensure_writable()
        if not config.compacts:
            return None
        active = writer.segments.active
        if active.size_bytes and now_ms - active.created_ms > config.max_compaction_lag_ms:
            writer.roll(now_ms)
        segments = writer.segments.all
        closed = cleanable(segments, config, now_ms, writer.stable)
        dirty_from = min(read_cleaned_offset(writer.folder), writer.log_end)
        if not is_due(closed, dirty_from, config, now_ms):
            return None
        producers = writer.producers.producers.values()
        return Compaction(
            folder=writer.folder,
            env=writer.env,
            config=config,
            now_ms=now_ms,
            segments=closed,
            dirty_from=max(dirty_from, self.log_start),
            aborted=[entry for segment in segments for entry in segment.transactions.entries],
            last_offsets={p.producer_id: p.batches[-1].last_offset for p in producers if p.batches},
            install=self._install,
            table_bytes=table_bytes,
        )

    def _install(self, old: Sequence[Segment], new: Segment) -> bool:
        """Puts a compacted segment in the place of those it was made from; false if retention took one of them."""
        writer = self._writer
        with writer.lock:
            writer.ensure_open()
            if not set(old) <= set(writer.segments.all):
                return False
            try:
                commit_swap(writer.folder, new.base_offset, writer.env.disk, writer.env.fail)
            except OSError:
                self._refused_swap = new.base_offset
                with contextlib.suppress(StorageFailed):
                    self._undo_swap()  # else the next append, sync or cleaning does, before anything else
                raise
            new.created_ms, new.next_offset = old[0].created_ms, old[-1].next_offset
            # Until the files have their names, readers use the new segment's open file and its index in memory.
            writer.segments.replace(old, [new])
            self._half_swapped.append((new, list(old[1:])))
            self._finish_swaps()
            return True

    def _undo_swap(self) -> None:
        if self._refused_swap is not None:
            with storage(self._writer.folder):
                undo_swap(self._writer.folder, self._refused_swap, self._writer.env.disk)
            self._refused_swap = None

    def _finish_swaps(self) -> None:
        """Gives compacted segments their names, or takes them back. Raises ``StorageFailed``."""
        self._undo_swap()
        folder, env = self._writer.folder, self._writer.env
        while self._half_swapped:
            new, covered = self._half_swapped[0]
            with storage(folder):
                finish_swap(folder, new.base_offset, env.disk, env.fail)
                for segment in reversed(covered):
                    segment.remove(env.disk)
            new.takes_name()
            new.seal()
            del self._half_swapped[0]

    def _remove_oldest(self, count: int) -> int:
        writer = self._writer
        folder, env, segments = writer.folder, writer.env, writer.segments
        oldest = segments.all[:count]
        segments.replace(oldest, [])
        self.log_start = max(self.log_start, segments.all[0].base_offset)
        self._doomed += oldest
        if not self._doomed:
            return 0
        env.fail.hit("log.retain.before")
        with storage(folder, "remove segments from"):
            while self._doomed:
                self._doomed[0].remove(env.disk)
                del self._doomed[0]
                env.fail.hit("log.retain.segment")
            clear_snapshots(folder, {segment.base_offset for segment in segments.all}, writer.log_end, env.disk)
            env.disk.sync_folder(folder)
        env.fail.hit("log.retain.done")
        return count
