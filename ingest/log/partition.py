"""One partition's log: appended to by one thread at a time, read by any number.

The parts: ``partition_writer`` (append, sync, roll), ``partition_reader``, ``partition_cleaning`` (log start,
retention, compaction), ``recovery`` (opening). Other processes read it through ``partition_view``.

Fail points, in order of the steps:
``log.append.before`` ``log.append.written``  |  ``log.sync.before`` ``log.sync.data`` ``log.sync.done``  |
``log.roll.before`` ``log.roll.sealed`` ``log.roll.created`` ``log.roll.done``  |
``log.cut.before`` ``log.cut.done``  |  ``log.recover.begin`` ``log.recover.cut`` ``log.recover.segment``
``log.recover.done``  |  ``log.retain.before`` ``log.retain.segment`` ``log.retain.done``  |
``log.compact.written`` ``log.compact.synced`` ``log.compact.renamed`` ``log.compact.swap`` ``log.compact.removed``
``log.compact.replaced`` ``log.compact.done`` ``log.compact.undone``  |  ``log.close.before`` ``log.close.done``
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from ingest.environment import Environment
from ingest.log.append_plan import AppendInfo, AppendRules, Kind
from ingest.log.compaction import TABLE_BYTES, CompactionResult
from ingest.log.partition_cleaning import PartitionCleaning
from ingest.log.partition_reader import Bounds, PartitionReader, ReadResult
from ingest.log.partition_writer import PartitionWriter
from ingest.log.recovery import LoadedLog, Recovery
from ingest.log.storage_failure import storage
from ingest.log.topic_config import TopicConfig

__all__ = ["AppendInfo", "CompactionResult", "PartitionLog", "ReadResult"]


def _silent(_: str) -> None:
    """Reports to nobody."""


class PartitionLog:
    """See the module. All methods are thread-safe; reads never wait for writes."""

    def __init__(
        self, folder: Path, topic: str, partition: int, config: TopicConfig, env: Environment, loaded: LoadedLog
    ) -> None:
        self.folder = folder
        self.topic = topic
        self.partition = partition
        self._env = env
        self._writer = PartitionWriter(folder, f"{topic}-{partition}", config, env, loaded)
        self._cleaning = PartitionCleaning(self._writer, loaded.log_start_offset)
        self._reader = PartitionReader(self._writer.segments)

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
        loaded = Recovery(
            folder,
            env,
            config,
            lambda what: report(f"{topic}-{partition}: {what}"),
            clean=clean,
            recovery_point=recovery_point,
            log_start_offset=log_start_offset,
        ).run()
        return cls(folder, topic, partition, config, env, loaded)

    # --- where the log stands

    @property
    def config(self) -> TopicConfig:
        """The topic's settings; may be set at any time."""
        return self._writer.config

    @config.setter
    def config(self, config: TopicConfig) -> None:
        self._writer.config = config

    @property
    def log_start_offset(self) -> int:
        return self._cleaning.log_start

    @property
    def log_end_offset(self) -> int:
        """The offset that the next append gets."""
        return self._writer.log_end

    @property
    def high_watermark(self) -> int:
        """The synced offset: readers see what is before it."""
        return self._writer.watermark.offset

    @property
    def last_stable_offset(self) -> int:
        """Committed readers see what is before it."""
        return self._writer.stable

    @property
    def recovery_point(self) -> int:
        """Everything before it is on disk, indexes of closed segments included."""
        return self._writer.watermark.offset

    @property
    def unsynced_bytes(self) -> int:
        return self._writer.unsynced.bytes

    @property
    def size_bytes(self) -> int:
        """Of all log files, without the indexes."""
        return self._writer.segments.size_bytes

    @property
    def cuts(self) -> int:
        """How often a failed sync has taken back what was appended."""
        return len(self._writer.cuts)

    def is_cut(self, appended: AppendInfo) -> bool:
        """Whether a failed sync has taken back this append; others may have its offsets since."""
        return any(end <= appended.base_offset for end in self._writer.cuts[appended.cuts :])

    @property
    def leader_epoch(self) -> int:
        return self._writer.epochs.current

    def epoch_end_offset(self, epoch: int) -> tuple[int, int]:
        """The largest known epoch up to ``epoch`` and the offset where it ends; (-1, -1) if none is known."""
        with self._writer.lock:
            return self._writer.epochs.end_offset(epoch, self._writer.log_end)

    def open_transactions(self) -> dict[int, tuple[int, int]]:
        """Producer id -> epoch and first offset of its open transaction."""
        with self._writer.lock:
            return self._writer.producers.open_transactions()

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
        return self._writer.append(batches, AppendRules(kind, check_crc, self.config, now_ms), expected_cuts)

    def append_all(
        self, batches: Iterable[bytearray], *, now_ms: int, kind: Kind = "client", expected_cuts: int | None = None
    ) -> AppendInfo:
        """Appends batches of this process one after the other, with nothing of others between them.

        Each is written before the next is asked for: bulk then lies in the processor's cache from the codec to the
        page cache, which is twice as fast as one large buffer. Raises what ``append`` raises; what was appended
        before that stays.
        """
        rules = AppendRules(kind, False, self.config, now_ms)
        return self._writer.append_all(batches, rules, expected_cuts)

    def sync(self) -> int:
        """Puts everything appended so far on disk, shows it to readers; returns the new high watermark.

        Others append meanwhile. On ``StorageFailed`` all that was not on disk is taken back: its appenders must
        be told.
        """
        return self._writer.sync()

    def roll(self) -> None:
        """Closes the active segment, if it holds anything, and begins a new one."""
        with self._writer.lock:
            self._writer.ensure_writable()
            if self._writer.segments.active.size_bytes:
                self._writer.roll(self._env.clock.now_ms())

    # --- reading

    def read(self, offset: int, max_bytes: int, *, committed: bool) -> ReadResult:
        """Whole batches from ``offset`` on, ``max_bytes`` of them but at least one if one is visible.

        With ``committed``, up to the last stable offset. An empty result with an ``end`` beyond ``offset``
        means that there is a gap. Raises ``OffsetOutOfRange`` below the log start or above the log end.
        """
        writer = self._writer
        writer.ensure_open()
        watermark = writer.watermark
        stable = min(writer.stable, watermark.offset)
        bounds = Bounds(writer.place, self.log_start_offset, writer.log_end, watermark, stable)
        return self._reader.read(bounds, offset, max_bytes, committed=committed)

    def offset_for_time(self, timestamp_ms: int) -> int | None:
        """The first visible offset whose record has this timestamp or a later one; None if there is none."""
        self._writer.ensure_open()
        return self._reader.offset_for_time(timestamp_ms, self.log_start_offset, self._writer.watermark)

    # --- housekeeping

    def delete_before(self, offset: int) -> None:
        """Moves the log start to ``offset``; durable once the caller has written down ``log_start_offset``."""
        self._cleaning.delete_before(offset)

    def retain(self, now_ms: int, hold_offset: int | None = None) -> int:
        """Removes segments that the topic's settings no longer keep; returns how many.

        Nothing at or after ``hold_offset`` goes (unless the topic says otherwise), and nothing that a
        committed reader cannot see yet. Called by the housekeeping every few minutes.
        """
        return self._cleaning.retain(now_ms, hold_offset)

    def compact(self, now_ms: int, *, table_bytes: int = TABLE_BYTES) -> CompactionResult:
        """Keeps the last value of each key in closed segments, if that is due by the topic's settings.

        Runs beside appends and reads; a second caller waits. ``table_bytes`` bounds the memory for keys: what does
        not fit is left for the next run. Crash-safe at every step; see ``segment_swap``.
        """
        return self._cleaning.compact(now_ms, table_bytes)

    # --- closing

    def close(self, clean: bool = True) -> None:
        """Syncs, writes indexes and producer state, and closes. Without ``clean`` it just lets go. Idempotent."""
        self._writer.close(clean)

    def delete(self) -> None:
        """Closes, and removes the folder with all that is in it."""
        self._writer.close(clean=False)
        with self._cleaning.lock, self._writer.lock, storage(self.folder, "remove"):
            for path in list(self.folder.iterdir()):
                self._env.disk.unlink(path)
            self.folder.rmdir()
            self._env.disk.sync_folder(self.folder.parent)
