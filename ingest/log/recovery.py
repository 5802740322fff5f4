"""Opening a partition for writing: what is trusted, what is checked, and where a torn tail is cut.

After a clean shutdown everything is trusted. Otherwise what lies before the recovery point is, as it was on disk:
a batch that has rotted there stays where it is, for it is no torn tail, and what follows it is good. From there on
every CRC is checked, and the log ends before the first batch that is not whole and sound. Indexes, transaction
index and producer state of the segments that were read are made again. What is left is synced before anyone sees it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ingest.disk import Disk
from ingest.environment import Environment
from ingest.log import batch_walk
from ingest.log.leader_epochs import NAME as EPOCHS_NAME
from ingest.log.leader_epochs import LeaderEpochs
from ingest.log.leftovers import Report, clear_leftovers, clear_snapshots
from ingest.log.log_file import LogFile
from ingest.log.producer_replay import producers_at, replay
from ingest.log.producer_snapshot import read_snapshot, write_snapshot
from ingest.log.producer_state import ProducerState
from ingest.log.segment import Segment
from ingest.log.segment_names import LOG, SNAPSHOT, file_path, offsets_of
from ingest.log.storage_failure import storage
from ingest.log.topic_config import INT32_MAX, TopicConfig
from ingest.wire.batch import HEADER_BYTES, read_header


@dataclass(frozen=True, slots=True)
class LoadedLog:
    """An opened partition: the last segment is active; all that is in it is on disk."""

    segments: list[Segment]
    producers: ProducerState
    epochs: LeaderEpochs
    log_start_offset: int
    log_end_offset: int


@dataclass(slots=True)
class Recovery:
    """One opening. ``log_start_offset`` is the one that was written down."""

    folder: Path
    env: Environment
    config: TopicConfig
    report: Report
    clean: bool = False
    recovery_point: int = 0
    log_start_offset: int = 0
    segments: list[Segment] = field(default_factory=list)
    producers: ProducerState | None = None
    truncated: bool = False

    def run(self) -> LoadedLog:
        """Raises ``StorageFailed`` if the disk refuses; may then be tried again."""
        with storage(self.folder, "open"):
            clear_leftovers(self.folder, self.env, self.report)
            self._list_segments()
            doubtful = self._first_doubtful()
            for segment in self.segments[:doubtful]:
                if not segment.load_indexes(segment.next_offset):
                    self._make_indexes(segment)
            if doubtful < len(self.segments):
                self._recover(doubtful)
            log_end = self._settle_end()
            producers = self._settle_producers(log_end)
            epochs = self._settle_epochs(log_end)
            self.env.fail.hit("log.recover.done")
        log_start = max(self.log_start_offset, self.segments[0].base_offset)
        return LoadedLog(self.segments, producers, epochs, log_start, log_end)

    def _list_segments(self) -> None:
        bases = offsets_of(self.folder, LOG)
        self.segments = [Segment.open(self.folder, base) for base in bases]
        for segment, following in zip(self.segments, bases[1:], strict=False):
            segment.next_offset = following

    def _first_doubtful(self) -> int:
        """Number of the first segment that must be read again; as many as there are if none."""
        if not self.segments:
            return 0
        if self.clean:
            return len(self.segments) - (not self._last_is_whole())
        return max(sum(segment.base_offset <= self.recovery_point for segment in self.segments) - 1, 0)

    def _last_is_whole(self) -> bool:
        """Opens the last segment as a clean shutdown left it; false if it is not as it should be."""
        last = self.segments[-1]
        if not last.load_indexes(last.base_offset + INT32_MAX):
            return False
        entry = last.offset_index.last()
        end = entry[1] if entry else 0
        for step in batch_walk.steps(last.file(), end, last.size_bytes):
            end = step.position + step.size_bytes
            last.next_offset = step.last_offset + 1
        if end == last.size_bytes:
            last.activate()
        return end == last.size_bytes

    def _make_indexes(self, segment: Segment) -> None:
        """For a trusted segment: its batches are believed, so their headers are enough."""
        self.report(f"made the indexes of {segment.path.name} again")
        earlier = [other for other in self.segments if other.base_offset < segment.base_offset]
        producers = producers_at(self.folder, earlier, segment.base_offset)
        end_offset = segment.next_offset
        fill_indexes(segment, producers, self.config)
        segment.next_offset = end_offset
        self._seal(segment)

    def _recover(self, first: int) -> None:
        self.env.fail.hit("log.recover.begin")
        doubtful = self.segments[first:]
        self.producers = producers_at(self.folder, self.segments[:first], doubtful[0].base_offset)
        for number, segment in enumerate(doubtful):
            reason = self._check(segment, self.producers)
            self.env.fail.hit("log.recover.segment")
            if reason is not None:
                self._drop(doubtful[number + 1 :], reason)
                return
            if segment is not doubtful[-1]:
                segment.next_offset = doubtful[number + 1].base_offset
                self._seal(segment)

    def _check(self, segment: Segment, producers: ProducerState) -> str | None:
        """Reads a segment, cuts it before its first bad batch, syncs it; returns why it was cut."""
        size, interval = segment.size_bytes, self.config.index_interval_bytes
        segment.begin_again()
        keep_snapshot(segment, producers, self.env.disk)
        walk = batch_walk.Walk(0, segment.base_offset)
        for at, header, content in batch_walk.checked(segment.file(), walk, size, trusted_below=self.recovery_point):
            segment.note(at, header.size_bytes, header.last_offset, header.max_timestamp, interval)
            segment.transactions.entries += replay(producers, header, partial(bytes, content), segment.last_append_ms)
        segment.size_bytes = walk.position
        if walk.reason is not None:
            self.env.fail.hit("log.recover.cut")
            segment.trim(self.env.disk)
            segment.file().set_modified_ms(segment.last_append_ms)
            self.truncated = True
            place = f"{segment.path.name} at offset {walk.next_offset}"
            self.report(f"cut {size - walk.position} bytes off {place}: {walk.reason}")
        segment.file().sync(self.env.disk)
        return walk.reason

    def _drop(self, segments: list[Segment], reason: str) -> None:
        """What follows a cut was never acknowledged: it was written after what is now gone."""
        for segment in reversed(segments):
            segment.remove(self.env.disk)
            self.segments.remove(segment)
            self.report(f"removed {segment.path.name}, which follows the cut ({reason})")

    def _settle_end(self) -> int:
        """Where the log ends. Offsets that were on disk once are not given out again, even if they are lost."""
        found = self.segments[-1].next_offset if self.segments else self.log_start_offset
        known = max(self.log_start_offset, self.recovery_point)
        if self.segments and found >= known:
            return found
        if self.segments:
            self.report(f"offsets {found} to {known} were on disk and are gone; the log goes on at {known}")
            self.truncated = True
            self._seal(self.segments[-1])
        self.segments.append(Segment.create(self.folder, max(found, known), self.env.clock.now_ms()))
        return max(found, known)

    def _settle_producers(self, log_end: int) -> ProducerState:
        active, disk = self.segments[-1], self.env.disk
        clear_snapshots(self.folder, {segment.base_offset for segment in self.segments}, log_end, disk)
        producers = self.producers or producers_at(self.folder, self.segments, log_end)
        active.created_ms = created_ms(active)
        if not active.size_bytes:
            keep_snapshot(active, producers, disk)
        disk.sync_folder(self.folder)
        return producers

    def _settle_epochs(self, log_end: int) -> LeaderEpochs:
        epochs = LeaderEpochs.load(self.folder)
        if epochs is not None and not self.truncated:
            return epochs
        if epochs is None:
            first = self.segments[0]
            epochs = LeaderEpochs(self.folder / EPOCHS_NAME, [(last_epoch(self.segments), first.base_offset)])
        if self.truncated:
            epochs.begin(epochs.current + 1, log_end)
        epochs.write(self.env.disk)
        return epochs

    def _seal(self, segment: Segment) -> None:
        for path in segment.write_indexes(self.env.disk):
            LogFile.open(path).sync(self.env.disk)
        segment.seal()


def fill_indexes(segment: Segment, producers: ProducerState, config: TopicConfig, *, writable: bool = True) -> None:
    """Makes the indexes of a trusted segment in memory."""
    segment.begin_again(writable=writable)
    file = segment.file()
    for at, header in batch_walk.headers(file, 0, segment.size_bytes):
        segment.note(at, header.size_bytes, header.last_offset, header.max_timestamp, config.index_interval_bytes)
        content = partial(file.read_at, header.size_bytes, at)
        segment.transactions.entries += replay(producers, header, content, segment.last_append_ms)


def keep_snapshot(segment: Segment, producers: ProducerState, disk: Disk) -> None:
    """Sees to it that the snapshot at the segment's start is there: it also tells when the segment was begun."""
    path = file_path(segment.folder, segment.base_offset, SNAPSHOT)
    if read_snapshot(path) is None:
        write_snapshot(path, producers.producers.values(), created_ms(segment))
        LogFile.open(path).sync(disk)


def created_ms(segment: Segment) -> int:
    """When the segment was begun: the time of its snapshot, else the earliest time that it speaks of."""
    path = file_path(segment.folder, segment.base_offset, SNAPSHOT)
    try:
        return min(path.stat().st_mtime_ns // 1_000_000, segment.last_append_ms)
    except FileNotFoundError:
        if segment.size_bytes < HEADER_BYTES:
            return segment.last_append_ms
        first = read_header(segment.file().read_at(HEADER_BYTES, 0)).base_timestamp
        return min(first, segment.last_append_ms) if first >= 0 else segment.last_append_ms


def last_epoch(segments: list[Segment]) -> int:
    """The leader epoch of the last batch: the newest that the log speaks of."""
    for segment in reversed(segments):
        entry = segment.offset_index.last()
        found = 0
        for _, header in batch_walk.headers(segment.file(), entry[1] if entry else 0, segment.size_bytes):
            found = header.leader_epoch
        if segment.size_bytes:
            return max(found, 0)
    return 0
