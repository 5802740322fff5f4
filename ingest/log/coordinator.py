"""The transaction coordinator: one commit point for records in many partitions and positions of sources.

    1. the data is synced in every partition that was touched         (by the syncer, for all that wait)
    2. one synced record in __transaction_state decides                the commit point
    3. markers go to the partitions, positions to _ingest_positions    synced in the background
    4. a record that all of it is done                                 not synced; saves work at opening

Whatever waits at the same time shares each of these steps. Opening the hub repeats step 3 for what has the
record of step 2, and aborts the rest (``unfinished``).

Fail points, in order of the steps: ``txn.begin``, ``txn.data-synced`` (1), ``txn.complete`` (4, of earlier
transactions), ``txn.decided`` (2), ``txn.markers`` and ``txn.positions`` (3).
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from typing import Any

from ingest.environment import Environment
from ingest.errors import IngestError, TransactionInvalid
from ingest.log.effects import Effects
from ingest.log.internal_table import encode_entries
from ingest.log.jobs import Commit, Compaction, Job, Registration, fail_all
from ingest.log.partition import PartitionLog
from ingest.log.positions import PositionTable, entries_for
from ingest.log.sync import Failures
from ingest.log.transaction_state import WriterRecord
from ingest.log.transactions import Transaction
from ingest.log.writers import Writers
from ingest.wire.control import Marker, encode_marker


class Coordinator:
    """The syncer's second stage. ``begin``, ``register`` and ``abort`` are called by any thread."""

    def __init__(
        self,
        env: Environment,
        log: PartitionLog,
        positions_log: PartitionLog,
        writers: Writers,
        positions: PositionTable,
        *,
        last_transaction: int,
        appended: Callable[[PartitionLog], None],
        changed: Callable[[PartitionLog], None],
    ) -> None:
        """``log`` is that of ``__transaction_state``; ``appended`` is told of bytes to sync, ``changed`` of
        partitions that may show more."""
        self.env = env
        self.log = log
        self.writers = writers
        self.positions = positions
        self.effects = Effects(env, appended)
        self.appended = appended
        self.wake: Callable[[], None] = lambda: None
        self._changed = changed
        self._positions_log = positions_log
        self._transactions = itertools.count(last_transaction + 1)
        self._jobs: list[Job] = []
        self._jobs_lock = threading.Lock()
        self._left_behind: list[Transaction] = []
        self._incomplete: dict[str, WriterRecord] = {}

    # What writers call.

    def register(self, name: str) -> int:
        """A new epoch for ``name``; durable on return, and what older epochs left open is aborted."""
        epoch: int = self._submit(Registration(self.writers.named(name))).result()
        return epoch

    def begin(self, name: str, epoch: int) -> Transaction:
        """Raises ``Fenced``, or ``TransactionInvalid`` while the writer's last one is open."""
        writer = self.writers.named(name)
        with writer.lock:
            writer.check_newest(epoch)
            self._check_free(writer.open)
        if writer.must_renew:
            self._submit(Registration(writer, renew=True)).result()
        with writer.lock:
            writer.check_newest(epoch)
            self._check_free(writer.open)
            writer.open = Transaction(self, writer)
            return writer.open

    def submit_commit(self, transaction: Transaction) -> Future[None]:
        return self._submit(Commit(transaction))

    def compact(self) -> Future[None]:
        """Compacts the log of decisions, as far as their effects are on disk."""
        return self._submit(Compaction(self, self.env.clock.now_ms()))

    def abort(self, transaction: Transaction) -> None:
        """Ends an open transaction for good. Call with its writer's lock held."""
        if transaction.phase == "broken":
            transaction.writer.must_renew = True
        transaction.phase = "ended"
        transaction.writer.open = None
        self.owe_abort(transaction)
        self._pay(transaction.touched)

    # What the syncer's thread calls: the stage.

    def waiting(self) -> bool:
        return bool(self._jobs)

    def take(self) -> Sequence[Job]:
        if self._jobs:
            self.env.fail.hit("txn.begin")
        with self._jobs_lock:
            jobs, self._jobs = self._jobs, []
        return jobs

    def logs_of(self, jobs: Sequence[Job]) -> Collection[PartitionLog]:
        return dict.fromkeys(log for job in jobs for log in job.logs())

    def synced(self, log: PartitionLog, failure: IngestError | None) -> None:
        self.effects.synced(log)
        if failure is None and log is self.log:
            self._resolve()

    def settle(self, jobs: Sequence[Job], failures: Failures) -> None:
        if not jobs:
            return
        self.env.fail.hit("txn.data-synced")
        records: dict[Job, WriterRecord | None] = {}
        for job in jobs:
            try:
                records[job] = job.record(self, failures)
            except IngestError as error:
                fail_all([job], error, self, in_doubt=False)
        try:
            self._write([record for record in records.values() if record is not None])
        except IngestError as error:
            fail_all(list(records), error, self, in_doubt=True)
            self.effects.try_pay()
            return
        self.env.fail.hit("txn.decided")
        for job in records:
            job.decided(self)
        self._resolve()
        self._carry_out()
        for job in records:
            job.complete()

    def give_up(self, jobs: Sequence[Job], fault: BaseException) -> None:
        with self._jobs_lock:
            waiting, self._jobs = self._jobs, []
        for job in (*jobs, *waiting):
            if not job.future.done():
                job.fail(fault)

    # What jobs call.

    def next_transaction(self) -> int:
        """Numbers grow in the order of the decisions."""
        return next(self._transactions)

    def owe_effects(self, record: WriterRecord, touched: Collection[PartitionLog]) -> None:
        """The markers and positions of a decided transaction."""
        for log in touched:
            self.owe_marker(log, record.producer_id, record.producer_epoch, transaction=record.transaction)
        self.owe_positions(record)
        self._incomplete[record.name] = record

    def owe_positions(self, record: WriterRecord) -> None:
        """The positions of a decided transaction; in memory they count from now on."""
        entries = entries_for(record.positions, record.transaction)
        if entries:
            batches = encode_entries(entries, self.env.clock.now_ms())
            self.effects.owe(self._positions_log, batches, transaction=record.transaction, kind="raw")
        self.positions.apply(record.positions)

    def owe_marker(self, log: PartitionLog, producer_id: int, producer_epoch: int, *, transaction: int) -> None:
        """A marker that commits ``transaction``, or aborts if that is 0."""
        kind = Marker.COMMIT if transaction else Marker.ABORT
        marker = encode_marker(kind, producer_id, producer_epoch, self.env.clock.now_ms())
        self.effects.owe(log, marker, transaction=transaction)

    def owe_abort(self, transaction: Transaction) -> None:
        """Abort markers wherever the transaction may have records. They carry the writer's newest epoch, so that
        the partitions themselves refuse older ones."""
        writer = transaction.writer
        same = writer.producer_id == transaction.producer_id
        epoch = max(writer.producer_epoch, transaction.producer_epoch) if same else transaction.producer_epoch
        for log in transaction.touched:
            self.owe_marker(log, transaction.producer_id, epoch, transaction=0)

    def leave_behind(self, transaction: Transaction) -> None:
        """The transaction must not commit any more, but that is only certain after the next sync of the
        log of decisions: it is aborted then."""
        self._left_behind.append(transaction)

    # Housekeeping.

    def tick(self) -> bool:
        """Tries again what a failing disk has prevented. True if the log of decisions should be synced."""
        self.effects.try_pay()
        return bool(self._left_behind)

    def finish(self) -> None:
        """At a clean end, after the last sync: notes what is complete."""
        self._write_unsynced(self._completions(set()))

    def _submit(self, job: Job) -> Future[Any]:
        with self._jobs_lock:
            self._jobs.append(job)
        self.wake()
        return job.future

    def _check_free(self, transaction: Transaction | None) -> None:
        if transaction is not None:
            name = transaction.writer.name
            raise TransactionInvalid(f"the last transaction of writer {name!r} has not ended", writer=name)

    def _write(self, records: Sequence[WriterRecord]) -> None:
        """The commit point of all ``records``. Raises if it was not reached, or not surely."""
        if not records:
            return
        completions = self._completions({record.name for record in records})
        self._write_unsynced([*completions, *records])
        if completions:
            self.env.fail.hit("txn.complete")
        self.log.sync()

    def _write_unsynced(self, records: Sequence[WriterRecord]) -> None:
        if records:
            now_ms = self.env.clock.now_ms()
            batches = encode_entries([record.entry() for record in records], now_ms)
            self.log.append(batches, now_ms=now_ms, kind="raw", check_crc=False)
            self.appended(self.log)

    def _completions(self, superseded: Collection[str]) -> list[WriterRecord]:
        """Records for transactions whose effects are on disk, but not for writers that get a newer record."""
        unfinished = self.effects.unfinished()
        done = {n: record for n, record in self._incomplete.items() if record.transaction not in unfinished}
        for name in (*done, *superseded):
            self._incomplete.pop(name, None)
        return [record.completed() for name, record in done.items() if name not in superseded]

    def _resolve(self) -> None:
        """The log of decisions holds nothing but what was synced: what was left behind is undone."""
        left, self._left_behind = self._left_behind, []
        for transaction in left:
            self.owe_abort(transaction)
            self._pay(transaction.touched)

    def _carry_out(self) -> None:
        self._pay([log for log in self.effects.owing() if log is not self._positions_log])
        self.env.fail.hit("txn.markers")
        self._pay([self._positions_log])
        self.env.fail.hit("txn.positions")

    def _pay(self, logs: Collection[PartitionLog]) -> None:
        self.effects.try_pay(logs)
        for log in logs:
            self._changed(log)
