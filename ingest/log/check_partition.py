"""Checks one partition's files against each other. Reads only; one batch in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

from ingest.log import batch_walk
from ingest.log.finding import Finding
from ingest.log.log_file import LogFile
from ingest.log.offset_index import ENTRY as OFFSET_ENTRY
from ingest.log.producer_replay import replay
from ingest.log.producer_snapshot import read_snapshot
from ingest.log.producer_state import ProducerState
from ingest.log.segment_names import LOG, OFFSET_INDEX, SNAPSHOT, TIME_INDEX, TRANSACTION_INDEX, file_path, offsets_of
from ingest.log.time_index import ENTRY as TIME_ENTRY
from ingest.log.transaction_index import AbortedTransaction, TransactionIndex
from ingest.wire.batch import BatchHeader

MADE_AGAIN = "remove the file: it is made again from the log"
NOT_SEEN_YET = "the next opening makes it again"


class PartitionCheck:
    """One pass over one partition.

    ``synced`` is the offset up to which everything must be good (None: not known, so everything may be a torn
    tail). ``state`` afterwards holds the producers as of the log's end.
    """

    def __init__(self, folder: Path, synced: int | None) -> None:
        self.state = ProducerState()
        self.next_offset = 0
        self.torn = False
        self._folder = folder
        self._synced = synced

    def run(self) -> Iterator[Finding]:
        """Stops after the first damaged batch: behind it nothing can be told apart."""
        bases = offsets_of(self._folder, LOG)
        if not bases:
            yield Finding("warning", self._folder.name, "holds no segment", "the next opening begins one")
            return
        self.next_offset = bases[0]
        self.state = ProducerState(read_snapshot(file_path(self._folder, bases[0], SNAPSHOT)) or ())
        for base, following in pairwise([*bases, None]):
            assert base is not None
            yield from self._snapshot(base)
            damage = False
            for finding in self._segment(base, following):
                damage |= finding.place.endswith(LOG)
                yield finding
            if damage:
                return

    def _segment(self, base: int, following: int | None) -> Iterator[Finding]:
        path = file_path(self._folder, base, LOG)
        if base < self.next_offset:
            yield self._finding(path, f"begins at {base}, and the segment before it ends at {self.next_offset}")
            return
        indexes = _Indexes(self._folder, base)
        file = LogFile.open(path)
        size = file.size()
        walk = batch_walk.Walk(0, base)
        now_ms = file.modified_ms()
        for at, header, content in batch_walk.checked(file, walk, size):
            indexes.saw(at, header)
            indexes.aborted += replay(self.state, header, partial(bytes, content), now_ms)
        self.next_offset = walk.next_offset
        if walk.reason is not None:
            yield self._bad_batch(path, walk, size, last=following is None)
        elif following is not None and walk.next_offset > following:
            yield self._finding(path, f"ends at {walk.next_offset}, and the next segment begins at {following}")
        elif following is not None:
            yield from indexes.findings()

    def _bad_batch(self, path: Path, walk: batch_walk.Walk, size: int, *, last: bool) -> Finding:
        lost = size - walk.position
        problem = f"bad batch at byte {walk.position} (offset {walk.next_offset}): {walk.reason}"
        if last and (self._synced is None or walk.next_offset >= self._synced):
            self.torn = True
            tail = f"a torn tail of {lost} bytes, never acknowledged: {walk.reason}"
            return Finding("warning", self._name(path), tail, "the next opening cuts it off")
        return self._finding(path, f"{problem}; {lost} bytes from there on cannot be trusted")

    def _snapshot(self, base: int) -> Iterator[Finding]:
        path = file_path(self._folder, base, SNAPSHOT)
        if not path.exists():
            return
        entries = read_snapshot(path)
        if entries is None:
            yield Finding("warning", self._name(path), "producer state that is damaged", NOT_SEEN_YET)
            return
        written = {entry.producer_id: (entry.epoch, entry.transaction_start) for entry in entries}
        replayed = {pid: (entry.epoch, entry.transaction_start) for pid, entry in self.state.producers.items()}
        wrong = [pid for pid in written.keys() & replayed.keys() if written[pid] != replayed[pid]]
        begun = [pid for pid, (_, start) in replayed.items() if start >= 0 and pid not in written]
        if wrong or begun:
            problem = f"producer state differs from the log: producers {sorted([*wrong, *begun])[:5]}"
            yield Finding("error", self._name(path), problem, MADE_AGAIN)

    def _finding(self, path: Path, problem: str) -> Finding:
        return Finding("error", self._name(path), problem)

    def _name(self, path: Path) -> str:
        return f"{self._folder.name}/{path.name}"


class _Indexes:
    """The three indexes of a closed segment, held against its batches as they are read."""

    def __init__(self, folder: Path, base: int) -> None:
        self._folder = folder
        self._base = base
        self.aborted: list[AbortedTransaction] = []
        self._offsets = _read(file_path(folder, base, OFFSET_INDEX))
        self._times = _read(file_path(folder, base, TIME_INDEX))
        self._positions: dict[int, int] = dict(_reversed_pairs(self._offsets))
        self._times_left: dict[int, int] = dict(_pairs(self._times))
        self._largest = -1

    def saw(self, position: int, header: BatchHeader) -> None:
        """Strikes off the entries that this batch explains."""
        relative = header.last_offset - self._base
        if self._positions.get(position) == relative:
            del self._positions[position]
        if header.max_timestamp > self._largest:
            self._largest = header.max_timestamp
        if self._times_left.get(self._largest) == relative:
            del self._times_left[self._largest]

    def findings(self) -> Iterator[Finding]:
        """Called once all batches were seen: what is left over points to nothing."""
        kinds = ((OFFSET_INDEX, self._offsets, self._positions, OFFSET_ENTRY.size),
                 (TIME_INDEX, self._times, self._times_left, TIME_ENTRY.size))  # fmt: skip
        for suffix, data, left, size in kinds:
            place = f"{self._folder.name}/{file_path(self._folder, self._base, suffix).name}"
            if data is None:
                yield Finding("warning", place, "is missing", NOT_SEEN_YET)
            elif len(data) % size:
                yield Finding("error", place, f"has {len(data)} bytes, no multiple of {size}", MADE_AGAIN)
            elif left:
                yield Finding("error", place, f"{len(left)} entries point to no batch", MADE_AGAIN)
        yield from self._transactions()

    def _transactions(self) -> Iterator[Finding]:
        path = file_path(self._folder, self._base, TRANSACTION_INDEX)
        index = TransactionIndex.load(path)
        if index is None or index.entries != self.aborted:
            place = f"{self._folder.name}/{path.name}"
            yield Finding("error", place, "does not list the transactions that this segment aborts", MADE_AGAIN)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _pairs(data: bytes | None) -> Iterator[tuple[int, int]]:
    whole = (data or b"")[: len(data or b"") // TIME_ENTRY.size * TIME_ENTRY.size]
    return ((timestamp, relative) for timestamp, relative in TIME_ENTRY.iter_unpack(whole))


def _reversed_pairs(data: bytes | None) -> Iterator[tuple[int, int]]:
    whole = (data or b"")[: len(data or b"") // OFFSET_ENTRY.size * OFFSET_ENTRY.size]
    return ((position, relative) for relative, position in OFFSET_ENTRY.iter_unpack(whole))
