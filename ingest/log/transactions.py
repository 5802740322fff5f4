"""An open transaction: what its writer has appended so far, and where its sources stand after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from ingest.errors import Fenced, StorageFailed, TransactionInvalid
from ingest.log.partition import AppendInfo, PartitionLog
from ingest.log.positions import Position, copy_of
from ingest.log.transaction_state import Part, WriterRecord
from ingest.log.writers import WriterState

if TYPE_CHECKING:
    from ingest.log.coordinator import Coordinator

Phase = Literal["open", "broken", "committing", "deciding", "ended", "fenced"]


class Stamp(NamedTuple):
    """What a transactional batch carries; no sequence, for within one process nothing is sent twice."""

    producer_id: int
    producer_epoch: int


@dataclass(slots=True)
class Touched:
    """A partition that the transaction has written to. ``cuts`` is the log's count at the first append: if
    it has grown, records of the transaction may be gone."""

    log: PartitionLog
    topic_id: str
    cuts: int
    first: int = -1
    end: int = -1

    def part(self) -> Part:
        return Part(self.log.topic, self.topic_id, self.log.partition, self.first, self.end)

    def check_whole(self) -> None:
        """Raises ``StorageFailed`` if the disk has lost records of the transaction."""
        if self.log.cuts != self.cuts:
            raise StorageFailed(
                f"the disk failed under {self.log.topic}-{self.log.partition} during a transaction",
                hint="abort it and begin again",
                topic=self.log.topic,
                partition=self.log.partition,
                path=str(self.log.folder),
            )


class Transaction:
    """Used by one thread, but may be fenced by another at any time.

    Life: open -> committing (waits for the syncer) -> deciding -> ended. A failed append makes it broken,
    which only ``abort`` ends; a newer registration of the writer makes it fenced.
    """

    def __init__(self, coordinator: Coordinator, writer: WriterState) -> None:
        self._coordinator = coordinator
        self.writer = writer
        self.epoch = writer.epoch
        self.producer_id = writer.producer_id
        self.producer_epoch = writer.producer_epoch
        self.touched: dict[PartitionLog, Touched] = {}
        self.positions: dict[str, dict[str, Position | None]] = {}
        self.phase: Phase = "open"

    def append(self, log: PartitionLog, topic_id: str, encode: Callable[[Stamp], Iterable[bytearray]]) -> AppendInfo:
        """Appends the batches that ``encode`` makes; readers do not see them yet.

        Raises ``Fenced`` or ``StorageFailed``; after the latter only ``abort`` is left.
        """
        self.check("open")
        touched = self.touched.get(log)
        if touched is None:
            self._coordinator.effects.pay(log)  # an older marker must stand before our first record
            touched = Touched(log, topic_id, log.cuts)
        batches = encode(Stamp(self.producer_id, self.producer_epoch))
        with self.writer.lock:
            self.check("open")
            self.phase = "broken"
            # Entered before the append: if it fails half-way, the abort marker covers what was written.
            self.touched[log] = touched
            now_ms = self._coordinator.env.clock.now_ms()
            info = log.append_all(batches, now_ms=now_ms, kind="raw", expected_cuts=touched.cuts)
            self.phase = "open"
        touched.first = info.base_offset if touched.first < 0 else touched.first
        touched.end = info.last_offset + 1
        self._coordinator.appended(log)
        return info

    def put_positions(self, owner: str, streams: Mapping[str, Position | None]) -> None:
        """Sets positions (None forgets a stream) as part of the transaction; copied."""
        self.check("open")
        self.positions.setdefault(owner, {}).update(copy_of(owner, streams))

    def commit(self) -> Future[None]:
        """Done when the decision is on disk and readers see it. Fails with ``StorageFailed`` (aborted, or
        undone as soon as the disk allows it) or ``Fenced``."""
        with self.writer.lock:
            self.check("open")
            self.phase = "committing"
        return self._coordinator.submit_commit(self)

    def decision(self, number: int) -> WriterRecord:
        """The record that commits it."""
        return WriterRecord(
            self.writer.name,
            "committed",
            self.epoch,
            self.producer_id,
            self.producer_epoch,
            number,
            tuple(touched.part() for touched in self.touched.values()),
            self.positions,
        )

    def abort(self) -> None:
        """Readers never see what was appended. Does nothing once the transaction has ended."""
        with self.writer.lock:
            if self.phase in ("open", "broken"):
                self._coordinator.abort(self)

    def check(self, wanted: Phase) -> None:
        """Raises what a call in another phase deserves."""
        if self.phase == "fenced":
            self.writer.check_newest(self.epoch)
            raise Fenced(f"writer {self.writer.name!r} was registered again", writer=self.writer.name)
        if self.phase == "broken":
            raise TransactionInvalid("an append of this transaction failed: abort it", writer=self.writer.name)
        if self.phase != wanted:
            raise TransactionInvalid(f"the transaction is {self.phase}, not {wanted}", writer=self.writer.name)
