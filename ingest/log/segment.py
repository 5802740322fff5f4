"""One segment: a log file and what is derived from it, the offset, time and transaction index.

Only the last segment of a partition is active: it has its log open for appends and its indexes in memory.
A closed one holds nothing open and nothing in memory. Appends, cuts and seals come from one thread at a
time (the partition's lock); reads from any thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ingest.disk import Disk
from ingest.log import batch_walk
from ingest.log.log_file import LogFile
from ingest.log.offset_index import ENTRY as OFFSET_ENTRY
from ingest.log.offset_index import OffsetIndex
from ingest.log.segment_names import INDEXES, LOG, OFFSET_INDEX, TIME_INDEX, TRANSACTION_INDEX, file_path
from ingest.log.time_index import ENTRY as TIME_ENTRY
from ingest.log.time_index import TimeIndex
from ingest.log.topic_config import INT32_MAX, TopicConfig
from ingest.log.transaction_index import TransactionIndex
from ingest.wire.batch import HEADER_BYTES, LOG_OVERHEAD


class PlacedBatch(NamedTuple):
    """A batch that was given its offsets; ``position`` counts from the start of its buffer."""

    position: int
    size_bytes: int
    last_offset: int
    max_timestamp: int


class Segment:
    """See the module. ``next_offset`` is the first offset after it; a closed one may end before that."""

    def __init__(self, folder: Path, base_offset: int, *, suffix: str = "", active: bool = False) -> None:
        self.folder = folder
        self.base_offset = base_offset
        self.suffix = suffix
        self.path = file_path(folder, base_offset, LOG + suffix)
        self.size_bytes = 0
        self.next_offset = base_offset
        self.offset_index = OffsetIndex(self._beside(OFFSET_INDEX), base_offset, on_disk=not active)
        self.time_index = TimeIndex(self._beside(TIME_INDEX), base_offset, on_disk=not active)
        self.transactions = TransactionIndex(self._beside(TRANSACTION_INDEX))
        self.created_ms = -1
        self.last_append_ms = -1
        self.max_timestamp = -1
        self.max_timestamp_offset = base_offset
        self._file: LogFile | None = None
        self._inode = -1
        self._unindexed_bytes = 0

    @classmethod
    def create(cls, folder: Path, base_offset: int, now_ms: int, *, suffix: str = "") -> Segment:
        """A new, empty, active segment. Raises ``OSError``; its name is durable only after a folder sync."""
        segment = cls(folder, base_offset, suffix=suffix, active=True)
        segment._file = LogFile.create(segment.path)
        segment._inode = segment._file.inode()
        segment.created_ms = segment.last_append_ms = now_ms
        return segment

    @classmethod
    def open(cls, folder: Path, base_offset: int, *, suffix: str = "") -> Segment:
        """A closed segment as it lies on disk; its indexes are not looked at. Raises ``OSError``."""
        segment = cls(folder, base_offset, suffix=suffix)
        file = LogFile.open(segment.path)
        segment.size_bytes = file.size()
        segment._inode = file.inode()
        segment.last_append_ms = file.modified_ms()
        return segment

    def _beside(self, kind: str) -> Path:
        return file_path(self.folder, self.base_offset, kind + self.suffix)

    def paths(self) -> Iterator[Path]:
        """The log first, then its indexes; the transaction index may be absent."""
        yield self.path
        for kind in INDEXES:
            yield self._beside(kind)

    def file(self) -> LogFile:
        """The open log. Raises ``FileNotFoundError`` if retention or compaction has removed it meanwhile."""
        if self._file is not None:
            return self._file
        file = LogFile.open(self.path)
        if file.inode() != self._inode:
            # Positions that this object or its index knows mean nothing in a compacted file of the same name.
            raise FileNotFoundError(f"{self.path} was replaced")
        return file

    # --- appending

    def append(
        self, buffer: bytearray | memoryview, batches: list[PlacedBatch], now_ms: int, interval_bytes: int
    ) -> None:
        """Writes whole batches, whose positions are given within ``buffer``.

        If the write fails nothing has changed but bytes behind ``size_bytes``, which ``trim`` removes.
        """
        start = self.size_bytes
        self.file().write_at(buffer, start)
        for batch in batches:
            self.note(start + batch.position, batch.size_bytes, batch.last_offset, batch.max_timestamp, interval_bytes)
        self.size_bytes = start + len(buffer)
        self.last_append_ms = now_ms

    def note(self, position: int, size_bytes: int, last_offset: int, max_timestamp: int, interval_bytes: int) -> None:
        """Enters a batch that stands at ``position`` of the log into the indexes."""
        if max_timestamp > self.max_timestamp:
            self.max_timestamp, self.max_timestamp_offset = max_timestamp, last_offset
        if self._unindexed_bytes > interval_bytes:
            self.offset_index.append(last_offset, position)
            self.time_index.append(self.max_timestamp, self.max_timestamp_offset)
            self._unindexed_bytes = 0
        self._unindexed_bytes += size_bytes
        self.next_offset = last_offset + 1

    def is_full(self, config: TopicConfig, more_bytes: int, last_offset: int, now_ms: int, jitter_ms: int) -> bool:
        """Whether an append of ``more_bytes`` up to ``last_offset`` must go to a new segment."""
        if last_offset - self.base_offset > INT32_MAX:
            return True
        if not self.size_bytes:
            return False
        return (
            self.size_bytes + more_bytes > config.segment_bytes
            or now_ms - self.created_ms >= config.segment_ms - jitter_ms
            or self.offset_index.size_bytes + OFFSET_ENTRY.size > config.segment_index_bytes
            or self.time_index.size_bytes + 2 * TIME_ENTRY.size > config.segment_index_bytes
        )

    def trim(self, disk: Disk) -> None:
        """Removes what a failed write has left behind the last whole append."""
        file = self.file()
        disk.truncate(file.fd, file.path, self.size_bytes)

    def recount_timestamps(self) -> None:
        """Finds the largest timestamp and the bytes since the last index entry, of an opened or cut log."""
        self.max_timestamp, self.max_timestamp_offset = self.time_index.largest()
        last = self.offset_index.last()
        start = last[1] if last else 0
        self._unindexed_bytes = 0
        for _, header in batch_walk.headers(self.file(), start, self.size_bytes):
            if header.max_timestamp > self.max_timestamp:
                self.max_timestamp, self.max_timestamp_offset = header.max_timestamp, header.last_offset
            self._unindexed_bytes += header.size_bytes

    # --- closing and opening again

    def write_indexes(self, disk: Disk) -> list[Path]:
        """Puts the indexes and the time of the last append on disk, unsynced; returns what was written."""
        if self.size_bytes:
            self.time_index.append(self.max_timestamp, self.max_timestamp_offset)
        self.offset_index.write(disk)
        self.time_index.write(disk)
        self.transactions.write(disk)
        self.file().set_modified_ms(self.last_append_ms)
        return [path for path in self.paths() if path.exists()][1:]

    def seal(self) -> None:
        """No more appends. ``write_indexes`` came before."""
        self.offset_index.release()
        self.time_index.release()
        self._file = None

    def let_go(self) -> None:
        """Closes the log once nobody reads it any more."""
        self._file = None

    def activate(self) -> None:
        """Makes a closed segment the one that is appended to."""
        self._file = LogFile.open(self.path, writable=True)
        self.offset_index.load()
        self.time_index.load()
        self.recount_timestamps()

    def begin_again(self, *, writable: bool = True) -> None:
        """Opens the log with empty indexes in memory, to be filled by ``note``."""
        self._file = LogFile.open(self.path, writable=writable)
        self.offset_index = OffsetIndex(self.offset_index.path, self.base_offset, on_disk=False)
        self.time_index = TimeIndex(self.time_index.path, self.base_offset, on_disk=False)
        self.transactions = TransactionIndex(self.transactions.path)
        self.max_timestamp, self.max_timestamp_offset = -1, self.base_offset
        self._unindexed_bytes = 0
        self.next_offset = self.base_offset

    def load_indexes(self, end_offset: int) -> bool:
        """Takes the index files for true if they fit the log; false if they must be made again."""
        transactions = TransactionIndex.load(self.transactions.path)
        try:
            fit = self.offset_index.fits(self.size_bytes) and self.time_index.fits(end_offset)
        except FileNotFoundError:
            return False
        if transactions is None or not fit or (self.size_bytes and not len(self.time_index)):
            return False
        self.transactions = transactions
        return True

    def takes_name(self) -> None:
        """Its files have been renamed to those of a segment of the log."""
        self.suffix = ""
        self.path = file_path(self.folder, self.base_offset, LOG)
        self.offset_index.path = self._beside(OFFSET_INDEX)
        self.time_index.path = self._beside(TIME_INDEX)
        self.transactions.path = self._beside(TRANSACTION_INDEX)

    def remove(self, disk: Disk) -> None:
        """Takes all names away; the indexes first, so that a log without its indexes can be seen for one."""
        for path in reversed(list(self.paths())):
            try:
                disk.unlink(path)
            except FileNotFoundError:
                continue

    # --- reading

    def find(self, offset: int) -> int | None:
        """Where the first batch that ends at or after ``offset`` begins; None if there is none."""
        start = self.offset_index.position_before(offset)
        for step in batch_walk.steps(self.file(), start, self.size_bytes):
            if step.last_offset >= offset:
                return step.position
        return None

    def read(self, position: int, end: int, max_bytes: int, limit: int) -> tuple[memoryview, int]:
        """Whole batches from ``position`` on that begin below offset ``limit``: as many as ``max_bytes`` holds,
        but at least one if there is one; and the offset after them (-1 with no batch)."""
        file = self.file()
        head = file.read_at(LOG_OVERHEAD, position)
        first = batch_walk.batch_bytes(file, head, position)
        if batch_walk.START.unpack_from(head)[0] >= limit:
            return memoryview(b""), -1
        data = file.read_bulk(min(max(max_bytes, first), end - position), position)
        used, next_offset = _whole_batches(data, limit)
        if not used:
            raise batch_walk.damaged(file, position)
        return data[:used], next_offset

    def largest_timestamp(self) -> int:
        """Of its records; -1 if it has none."""
        return self.time_index.largest()[0] if self._file is None else self.max_timestamp


def _whole_batches(data: memoryview, limit: int) -> tuple[int, int]:
    """How many bytes of ``data`` are whole batches below ``limit``, and the offset after them."""
    unpack, at, previous, size = batch_walk.START.unpack_from, 0, -1, len(data)
    while at + HEADER_BYTES <= size:
        base_offset, length = unpack(data, at)
        after = at + length + LOG_OVERHEAD
        if base_offset >= limit or after > size or after < at + HEADER_BYTES:
            break
        previous, at = at, after
    if previous < 0:
        return 0, -1
    (delta,) = batch_walk.LAST_OFFSET_DELTA.unpack_from(data, previous + batch_walk.LAST_OFFSET_DELTA_AT)
    return at, unpack(data, previous)[0] + delta + 1
