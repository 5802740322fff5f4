"""All producers of a partition, their open transactions, and what both mean for readers.

The state is a function of the log: replaying the headers of its batches gives it again. Expiry is the one
exception; it only forgets producers that have been silent for longer than anyone retries.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ingest.log.producer_entry import KEPT_BATCHES, AppendedBatch, ProducerEntry
from ingest.log.transaction_index import AbortedTransaction
from ingest.wire.batch import BatchHeader
from ingest.wire.control import Marker

EXPIRATION_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class EndedTransaction:
    """A transaction whose marker is written."""

    producer_id: int
    first_offset: int
    marker_offset: int
    aborted: bool


class ProducerUpdate:
    """The effect of one append on the state, worked out before a byte is written."""

    def __init__(self, state: ProducerState) -> None:
        self._state = state
        self.entries: dict[int, ProducerEntry] = {}
        self.ended: list[EndedTransaction] = []

    def entry(self, producer_id: int) -> ProducerEntry | None:
        return self.entries.get(producer_id) or self._state.producers.get(producer_id)

    def check(self, header: BatchHeader, *, sequenced: bool) -> AppendedBatch | None:
        """Raises if the batch may not be appended; returns the batch that it repeats, if it is a retry."""
        entry = self.entry(header.producer_id)
        if entry is None:
            return None
        entry.check_epoch(header.producer_epoch)
        entry.check_transaction(header)
        if not sequenced:
            return None
        duplicate = entry.duplicate_of(header)
        if duplicate is None:
            entry.check_sequence(header)
        return duplicate

    def add_data(self, header: BatchHeader, base_offset: int, now_ms: int) -> None:
        entry = self.entry(header.producer_id) or ProducerEntry(header.producer_id, header.producer_epoch)
        self.entries[header.producer_id] = entry.with_batch(header, base_offset, now_ms)

    def check_marker(self, header: BatchHeader) -> None:
        entry = self.entry(header.producer_id)
        if entry is not None:
            entry.check_epoch(header.producer_epoch)

    def add_marker(self, header: BatchHeader, marker: Marker, base_offset: int, now_ms: int) -> None:
        entry = self.entry(header.producer_id) or ProducerEntry(header.producer_id, header.producer_epoch)
        if entry.transaction_start >= 0:
            self.ended.append(
                EndedTransaction(header.producer_id, entry.transaction_start, base_offset, marker is Marker.ABORT)
            )
        self.entries[header.producer_id] = entry.with_marker(header.producer_epoch, now_ms)


class ProducerState:
    """The partition's lock guards it; readers call ``first_unstable`` without."""

    def __init__(self, producers: Iterable[ProducerEntry] = ()) -> None:
        self.producers = {entry.producer_id: entry for entry in producers}
        begun = [entry for entry in self.producers.values() if entry.transaction_start >= 0]
        # In the order of their first offsets, which is the order in which they are entered.
        self._open = {e.producer_id: e.transaction_start for e in sorted(begun, key=lambda e: e.transaction_start)}

    def update(self) -> ProducerUpdate:
        return ProducerUpdate(self)

    def apply(self, update: ProducerUpdate) -> list[AbortedTransaction]:
        """Takes over what was worked out; returns the transactions that it aborted, for the index."""
        aborted = []
        for ended in update.ended:
            self._open = {pid: first for pid, first in self._open.items() if pid != ended.producer_id}
            if ended.aborted:
                stable = min(self._open.values(), default=ended.marker_offset + 1)
                aborted.append(AbortedTransaction(ended.producer_id, ended.first_offset, ended.marker_offset, stable))
        self.producers.update(update.entries)
        for producer_id, entry in update.entries.items():
            if entry.transaction_start >= 0 and producer_id not in self._open:
                self._open = {**self._open, producer_id: entry.transaction_start}
        return aborted

    def remember(self, header: BatchHeader) -> None:
        """Puts an older batch of the log back among the five that are kept for retries (see the snapshot)."""
        entry = self.producers.get(header.producer_id)
        if entry is None or entry.epoch != header.producer_epoch or header.base_sequence < 0 or not entry.batches:
            return
        *older, last = entry.batches
        if header.last_offset < last.last_offset:
            batch = AppendedBatch(header.base_sequence, header.last_sequence, header.last_offset, header.max_timestamp)
            kept = (*older, batch, last)[-KEPT_BATCHES:]
            self.producers[entry.producer_id] = replace(entry, batches=kept)

    def open_transactions(self) -> dict[int, tuple[int, int]]:
        """Producer id -> its epoch and the first offset of its open transaction."""
        return {pid: (self.producers[pid].epoch, first) for pid, first in self._open.items()}

    def first_unstable(self) -> int | None:
        """The first offset of the oldest open transaction; None if there is none.

        A marker ends its transaction for readers as soon as it is appended: it is only written once the
        decision is on disk, and the decision writes it again should it be lost.
        """
        return min(self._open.values(), default=None)

    def expire(self, now_ms: int, after_ms: int = EXPIRATION_MS) -> int:
        """Forgets silent producers without an open transaction; returns how many."""
        silent = [
            pid
            for pid, entry in self.producers.items()
            if entry.transaction_start < 0 and now_ms - entry.last_ms >= after_ms
        ]
        for pid in silent:
            del self.producers[pid]
        return len(silent)
