"""What the coordinator is asked to do between two syncs: register a writer, commit, compact its own log.

Each job gives the record that is to be made durable, and is told what became of it. All methods but the
constructors are called by the syncer's thread.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from ingest.errors import IngestError, TooLarge
from ingest.log.partition import PartitionLog
from ingest.log.sync import Failures
from ingest.log.transaction_state import WriterRecord
from ingest.log.transactions import Transaction
from ingest.log.writers import WriterState

if TYPE_CHECKING:
    from ingest.log.coordinator import Coordinator

MAX_RECORD_BYTES = 8 * 1024 * 1024


class Job(ABC):
    """One waiting request; ``future`` is what its caller holds."""

    future: Future[Any]

    def logs(self) -> Collection[PartitionLog]:
        """Whose bytes must be on disk before the record is written."""
        return ()

    @abstractmethod
    def record(self, coordinator: Coordinator, failures: Failures) -> WriterRecord | None:
        """The record to write; None if there is nothing to write. Raises what the caller is to see."""

    def decided(self, coordinator: Coordinator) -> None:
        """The record is on disk: its effects are now owed."""
        return

    def undecided(self, coordinator: Coordinator, *, in_doubt: bool) -> None:
        """The record was not written, or (``in_doubt``) may have reached the disk all the same."""
        return

    def complete(self) -> None:
        """The effects are in place: the caller is told."""
        self._tell(None)

    def fail(self, error: BaseException) -> None:
        """The caller is told what went wrong."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)

    def _tell(self, result: object) -> None:
        if self.future.set_running_or_notify_cancel():
            self.future.set_result(result)


class Registration(Job):
    """A new epoch for a writer; with ``renew`` only a new producer epoch, under the same writer's epoch."""

    def __init__(self, writer: WriterState, *, renew: bool = False) -> None:
        self.future: Future[int] = Future()
        self._writer = writer
        self._renew = renew
        self._record: WriterRecord | None = None

    def record(self, coordinator: Coordinator, failures: Failures) -> WriterRecord:
        writer = self._writer
        with writer.lock:  # from here on, older epochs are refused: also if the record never reaches the disk
            if not self._renew:
                writer.epoch += 1
            if writer.open is not None and writer.open.phase != "deciding":
                writer.open.phase = "fenced"
                coordinator.leave_behind(writer.open)
                writer.open = None
            # Taken now, so that two registrations in one group never get the same.
            writer.producer_id, writer.producer_epoch = coordinator.writers.successor(writer)
            ids = writer.producer_id, writer.producer_epoch
            self._record = WriterRecord(writer.name, "registered", writer.epoch, *ids)
        return self._record

    def decided(self, coordinator: Coordinator) -> None:
        self._writer.must_renew = False

    def undecided(self, coordinator: Coordinator, *, in_doubt: bool) -> None:
        self._writer.must_renew = True

    def complete(self) -> None:
        assert self._record is not None
        self._tell(self._record.epoch)


class Commit(Job):
    """The end of a transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self.future: Future[None] = Future()
        self._transaction = transaction
        self._record: WriterRecord | None = None

    def logs(self) -> Collection[PartitionLog]:
        return self._transaction.touched.keys()

    def record(self, coordinator: Coordinator, failures: Failures) -> WriterRecord | None:
        transaction = self._transaction
        with transaction.writer.lock:
            transaction.check("committing")
            transaction.writer.check_newest(transaction.epoch)
            transaction.phase = "deciding"
        for touched in transaction.touched.values():
            if touched.log in failures:
                raise failures[touched.log]
            touched.check_whole()
        if transaction.touched or any(transaction.positions.values()):
            self._record = transaction.decision(coordinator.next_transaction())
            _check_size(self._record)
        return self._record

    def decided(self, coordinator: Coordinator) -> None:
        if self._record is not None:
            coordinator.owe_effects(self._record, self._transaction.touched)
        self._end()

    def undecided(self, coordinator: Coordinator, *, in_doubt: bool) -> None:
        if self._transaction.phase == "fenced":
            return  # left behind by whoever fenced it
        self._transaction.writer.must_renew = True
        if in_doubt:
            coordinator.leave_behind(self._transaction)
        else:
            coordinator.owe_abort(self._transaction)
        self._end()

    def _end(self) -> None:
        transaction = self._transaction
        with transaction.writer.lock:
            transaction.phase = "ended"
            if transaction.writer.open is transaction:
                transaction.writer.open = None


class Compaction(Job):
    """Compacts ``__transaction_state`` while nothing is being decided.

    A decision may only go once its effects are on disk, for opening the hub repeats them from it.
    """

    def __init__(self, coordinator: Coordinator, now_ms: int) -> None:
        self.future: Future[None] = Future()
        self._owing = coordinator.effects.owing()
        self._now_ms = now_ms

    def logs(self) -> Collection[PartitionLog]:
        return self._owing

    def record(self, coordinator: Coordinator, failures: Failures) -> None:
        if not coordinator.effects.owing():
            coordinator.log.compact(self._now_ms)


def _check_size(record: WriterRecord) -> None:
    """One writer's huge positions must not take down the batch that it shares with others."""
    size_bytes = len(record.entry()[1] or b"")
    if size_bytes > MAX_RECORD_BYTES:
        raise TooLarge(
            f"the positions of one transaction of writer {record.name!r} take {size_bytes} bytes",
            hint=f"at most {MAX_RECORD_BYTES} bytes fit into one transaction",
            writer=record.name,
        )


def fail_all(jobs: Collection[Job], error: IngestError, coordinator: Coordinator, *, in_doubt: bool) -> None:
    """Ends jobs whose records did not, or not surely, reach the disk."""
    for job in jobs:
        job.undecided(coordinator, in_doubt=in_doubt)
        job.fail(error)
