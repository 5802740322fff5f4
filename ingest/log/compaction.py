"""Keeping the last value of each key: closed segments are rewritten without what a later record has replaced.

Two passes. The first reads what is dirty (written since the last compaction) and notes the last offset of each
key, as far as the memory for it goes. The second rewrites the log up to there, neighbours together as long as
they fit into one segment. Offsets, order and everything that a kept record holds stay as they are. The active
segment is never touched, nor anything that a committed reader cannot see yet.

``cleaner-offset-checkpoint`` in the partition's folder holds the first dirty offset; without it everything is
dirty, which costs time and nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.disk import Disk
from ingest.environment import Environment
from ingest.log import batch_walk
from ingest.log.atomic_file import replace_file
from ingest.log.batch_cleaner import BatchCleaner, Read
from ingest.log.key_table import KeyTable
from ingest.log.log_file import LogFile
from ingest.log.segment import PlacedBatch, Segment
from ingest.log.segment_names import CLEANED
from ingest.log.topic_config import INT32_MAX, TopicConfig
from ingest.log.transaction_cleaner import TransactionCleaner
from ingest.log.transaction_index import AbortedTransaction
from ingest.wire.batch import BatchHeader, read_header
from ingest.wire.codec import decode_batch
from ingest.wire.control import decode_marker

CHECKPOINT = "cleaner-offset-checkpoint"
TABLE_BYTES = 64 << 20
CHUNK_BYTES = 4 << 20

Install = Callable[[Sequence[Segment], Segment], bool]


@dataclass(frozen=True, slots=True)
class CompactionResult:
    """``segments`` were read and ``bytes_before`` long; ``clean_until`` is the first dirty offset now."""

    segments: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    clean_until: int = 0


@dataclass(frozen=True, slots=True)
class Compaction:
    """One run over ``segments``, which nobody writes to; ``install`` puts a result in their place."""

    folder: Path
    env: Environment
    config: TopicConfig
    now_ms: int
    segments: Sequence[Segment]
    dirty_from: int
    aborted: Sequence[AbortedTransaction]
    last_offsets: dict[int, int]
    install: Install
    table_bytes: int

    def run(self) -> CompactionResult:
        """Raises ``OSError``; what was installed before stays, and the next run does the rest."""
        table, clean_until = self._key_table()
        reach = [segment for segment in self.segments if segment.base_offset < clean_until]
        transactions = self._transactions(self.segments[0])
        cleaner = BatchCleaner(
            table, clean_until, transactions, self.last_offsets, self.now_ms, self.config.delete_retention_ms
        )
        before = after = 0
        for group in groups(reach, self.config.segment_bytes):
            before += sum(segment.size_bytes for segment in group)
            after += self._rewrite(group, cleaner, transactions)
        write_cleaned_offset(self.folder, clean_until, self.env.disk)
        self.env.fail.hit("log.compact.done")
        return CompactionResult(len(reach), before, after, clean_until)

    def _key_table(self) -> tuple[KeyTable, int]:
        """The last offsets of the dirty keys, and the offset up to which they are known."""
        dirty = [segment for segment in self.segments if segment.next_offset > self.dirty_from]
        table, transactions = KeyTable(self.table_bytes), self._transactions(dirty[0])
        for segment in dirty:
            for header, content in _batches(segment):
                if header.is_control:
                    transactions.spent(header, decode_marker(content, header) if header.record_count else None)
                    continue
                void = transactions.drops_data(header)
                if void or header.last_offset < self.dirty_from or not header.record_count:
                    continue
                columns = decode_batch(content, header, want_headers=False)
                assert columns.offsets is not None
                if columns.keys is not None and not table.add(columns.keys, columns.offsets):
                    return table, header.base_offset
        return table, self.segments[-1].next_offset

    def _transactions(self, first: Segment) -> TransactionCleaner:
        """For a pass that begins with ``first``: transactions that ended before it are none of its business."""
        return TransactionCleaner(entry for entry in self.aborted if entry.last_offset >= first.base_offset)

    def _rewrite(self, group: Sequence[Segment], cleaner: BatchCleaner, transactions: TransactionCleaner) -> int:
        """Returns how many bytes are left of the group."""
        new = Segment.create(self.folder, group[0].base_offset, self.now_ms, suffix=CLEANED)
        try:
            pending: list[Read] = []
            size = 0
            for segment in group:
                for header, content in _batches(segment):
                    pending.append(cleaner.read(header, content))
                    size += header.size_bytes
                    if size >= CHUNK_BYTES:
                        self._write(new, cleaner.clean(pending))
                        pending, size = [], 0
            self._write(new, cleaner.clean(pending))
            new.transactions.entries = sorted(transactions.kept, key=lambda entry: entry.last_offset)
            transactions.kept.clear()
            new.last_append_ms = max(segment.last_append_ms for segment in group)
            self.env.fail.hit("log.compact.written")
            self._sync(new)
            self.env.fail.hit("log.compact.synced")
        except Exception:
            _remove_if_possible(new, self.env.disk)
            raise
        # From here on the files are the installer's: half renamed, their order of removal matters.
        if not self.install(group, new):
            new.remove(self.env.disk)
        return new.size_bytes

    def _write(self, new: Segment, batches: list[bytes | bytearray]) -> None:
        buffer, placed = bytearray(), []
        for batch in batches:
            header = read_header(batch)
            placed.append(PlacedBatch(len(buffer), header.size_bytes, header.last_offset, header.max_timestamp))
            buffer += batch
        if placed:
            new.append(buffer, placed, self.now_ms, self.config.index_interval_bytes)

    def _sync(self, new: Segment) -> None:
        disk = self.env.disk
        new.file().sync(disk)
        for path in new.write_indexes(disk):
            LogFile.open(path).sync(disk)
        disk.sync_folder(self.folder)


def cleanable(segments: Sequence[Segment], config: TopicConfig, now_ms: int, stable: int) -> list[Segment]:
    """The closed segments that may be compacted: all visible, all old enough."""
    found = []
    for segment in segments[:-1]:
        if segment.next_offset > stable or now_ms - segment.last_append_ms < config.min_compaction_lag_ms:
            break
        found.append(segment)
    return found


def is_due(segments: Sequence[Segment], dirty_from: int, config: TopicConfig, now_ms: int) -> bool:
    """Whether enough of ``segments`` is dirty, or something dirty is old enough."""
    dirty = [segment for segment in segments if segment.next_offset > dirty_from and segment.size_bytes]
    if not dirty:
        return False
    share = sum(segment.size_bytes for segment in dirty) / sum(segment.size_bytes for segment in segments)
    oldest_ms = min(segment.last_append_ms for segment in dirty)
    return share >= config.min_cleanable_dirty_ratio or now_ms - oldest_ms > config.max_compaction_lag_ms


def groups(segments: Sequence[Segment], segment_bytes: int) -> Iterator[list[Segment]]:
    """Neighbours that go into one segment: by size, and by what its relative offsets can reach."""
    group: list[Segment] = []
    for segment in segments:
        size = sum(member.size_bytes for member in group) + segment.size_bytes
        reach = segment.next_offset - group[0].base_offset if group else 0
        if group and (size > segment_bytes or reach > INT32_MAX):
            yield group
            group = []
        group.append(segment)
    if group:
        yield group


def read_cleaned_offset(folder: Path) -> int:
    """The first dirty offset; 0 if the checkpoint is absent or damaged."""
    try:
        version, count, offset, end = (folder / CHECKPOINT).read_text("ascii").split("\n")
        return int(offset) if (version, count, end) == ("0", "1", "") else 0
    except (FileNotFoundError, ValueError):
        return 0


def write_cleaned_offset(folder: Path, offset: int, disk: Disk) -> None:
    replace_file(disk, folder / CHECKPOINT, f"0\n1\n{offset}\n".encode())


def _batches(segment: Segment) -> Iterator[tuple[BatchHeader, bytes]]:
    file = segment.file()
    for position, header in batch_walk.headers(file, 0, segment.size_bytes):
        yield header, file.read_at(header.size_bytes, position)


def _remove_if_possible(segment: Segment, disk: Disk) -> None:
    """The disk may have refused once already; what it keeps now, the next opening removes."""
    with contextlib.suppress(OSError):
        segment.remove(disk)
