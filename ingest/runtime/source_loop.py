"""The source loop: poll, transform, and commit records and positions in one hub transaction.

The next batch is polled while the last one's commit is on its way to the disk; one commit at a time is
outstanding. The source is told what is committed from the thread that polls, in order. Steps that are open are
appended to one transaction until one ends it.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any, Literal

from ingest.connectors import EndOfInput, Polled, SourceContext, SourceTask
from ingest.connectors.source import Landed
from ingest.errors import ConnectorError
from ingest.hub.contract import Appended
from ingest.runtime.closing import closing_after
from ingest.runtime.dead_letter_topic import DeadLetterTopic
from ingest.runtime.open_step import OpenStep
from ingest.runtime.progress import Progress, Settled
from ingest.runtime.source_batch import Append, SourceBatch, SourceBatches
from ingest.runtime.task_setting import TaskSetting

End = Literal["done", "stopped"]

OVERLAP_BYTES = 128 * 1024
"""A smaller batch's commit is waited for at once: a source that trickles hears of it before it blocks again."""

LAG_EVERY_MS = 1_000


@dataclass(slots=True)
class _Outstanding:
    """A commit on its way to the disk; the step has no transaction where ``done`` is that of a plain append."""

    done: Future[Any]
    step: OpenStep
    alone: Append | None = None


class SourceLoop:
    """One task of a source, from ``open`` to ``close``; made anew for each attempt."""

    def __init__(
        self,
        setting: TaskSetting,
        task: SourceTask,
        batches: SourceBatches,
        context: SourceContext,
        progress: Progress,
        *,
        writer_name: str,
    ) -> None:
        self._hub = setting.hub
        self._fail = setting.environment.fail
        self._dead_letters = DeadLetterTopic(setting.hub, setting.topics, setting.plan.errors_topic)
        self._owner = setting.plan.source_owner(context.name)
        self._task = task
        self._batches = batches
        self._context = context
        self._progress = progress
        self._writer_name = writer_name
        self._outstanding: deque[_Outstanding] = deque()
        self._open: OpenStep | None = None
        self._clock = setting.environment.clock
        self._lag_noted_ms: int | None = None

    def run(self) -> End:
        """Until the input ends, or ``context.stopping`` is set; what was polled before is committed."""
        with closing_after(self._task):
            self._writer = self._hub.register_writer(self._writer_name)
            stored = self._hub.positions(self._owner)
            self._task.open(self._context, self._batches.resume(stored))
            try:
                return self._poll_on()
            except Exception:
                self._abandon()
                self._await_outstanding()
                raise

    def _poll_on(self) -> End:
        while not self._context.stopping.is_set():
            try:
                polled = self._task.poll()
            except EndOfInput:
                self._check_closed()
                self._settle()
                self._note_lag(force=True)
                return "done"
            self._note_lag()
            if polled is None:
                self._settle()
                continue
            self._take(polled)
        self._abandon()
        while (polled := self._task.drain()) is not None:
            self._take(polled)
        self._check_closed()
        self._settle()
        return "stopped"

    def _take(self, polled: Polled) -> None:
        self._fail.hit("source.polled")
        batch = self._batches.make(polled)
        self._fail.hit("source.transformed")
        self._append(batch, goes_on=polled.open)
        if batch.size_bytes < OVERLAP_BYTES and not self._task.has_more():
            self._settle()

    def _append(self, batch: SourceBatch, *, goes_on: bool) -> None:
        if batch.needs_no_transaction and self._open is None and not goes_on:
            self._append_alone(batch)
        else:
            self._settle()
            self._append_in_transaction(batch, goes_on=goes_on)

    def _append_alone(self, batch: SourceBatch) -> None:
        """A small one is waited for here, and what comes in meanwhile is the next one; of a larger one the next is made
        while the disk has its turn."""
        only, step = batch.appends[0], OpenStep(None)
        step.add(batch, 0)
        self._progress.moved(batch.taken, batch.size_bytes)
        if batch.size_bytes < OVERLAP_BYTES:
            self._settle()
            appended = self._hub.append_synced(only.records, only.partition)
            self._fail.hit("source.appended")
            self._stored(step, only, appended)
        else:
            self._outstanding.append(_Outstanding(self._hub.append(only.records, only.partition), step, only))
            self._fail.hit("source.appended")
            self._settle(all_but=1)

    def _append_in_transaction(self, batch: SourceBatch, *, goes_on: bool) -> None:
        step = self._open = self._open or OpenStep(self._hub.transaction(self._writer))
        transaction = step.in_hub()
        try:
            landed = [_landed(each, transaction.append(each.records, each.partition)) for each in batch.appends]
            self._batches.add_positions(batch, self._task.appended(landed))
            step.add(batch, sum(self._dead_letters.append(transaction, letters) for letters in batch.dead))
            self._fail.hit("source.appended")
            self._progress.moved(batch.taken, batch.size_bytes)
            if not goes_on:
                self._commit(step)
        except Exception:
            self._abandon()
            raise

    def _commit(self, step: OpenStep) -> None:
        transaction = step.in_hub()
        if step.is_empty:
            transaction.abort()
            self._tell(step)
        else:
            transaction.put_positions(self._owner, step.stored)
            self._outstanding.append(_Outstanding(transaction.commit(), step))
        self._open = None

    def _abandon(self) -> None:
        """Readers never see what the step that goes on has appended."""
        step, self._open = self._open, None
        if step is not None:
            step.in_hub().abort()

    def _check_closed(self) -> None:
        if self._open is not None:
            raise ConnectorError(
                f"source {self._context.name} has ended in the middle of a step",
                hint="the last `Polled` of a step must not be open: nothing of it was committed",
            )

    def _await_outstanding(self) -> None:
        """After a failure: the next attempt reads the positions, so what is on its way must have arrived."""
        wait([one.done for one in self._outstanding])
        for one in self._outstanding:
            if one.done.exception() is None:
                self._count(one.step)

    def _settle(self, *, all_but: int = 0) -> None:
        """Waits until what is outstanding is on disk, and tells the source."""
        while len(self._outstanding) > all_but:
            self._settle_first(self._outstanding.popleft())

    def _settle_first(self, outstanding: _Outstanding) -> None:
        try:
            result = outstanding.done.result()
        except Exception:
            if outstanding.step.transaction is not None:
                outstanding.step.transaction.abort()
            raise
        self._stored(outstanding.step, outstanding.alone, result)

    def _stored(self, step: OpenStep, alone: Append | None, result: Any) -> None:
        if alone is not None:
            self._task.appended([_landed(alone, result)])
        self._fail.hit("source.committed")
        self._tell(step)

    def _tell(self, step: OpenStep) -> None:
        self._count(step)
        self._task.committed(step.positions)

    def _count(self, step: OpenStep) -> None:
        self._progress.committed(
            Settled(step.taken, step.written, step.filtered, step.dead, size_bytes=step.size_bytes)
        )

    def _note_lag(self, *, force: bool = False) -> None:
        now_ms = self._clock.monotonic_ms()
        if force or self._lag_noted_ms is None or now_ms - self._lag_noted_ms >= LAG_EVERY_MS:
            self._lag_noted_ms = now_ms
            self._progress.source_lag = self._task.lag()


def _landed(append: Append, appended: Appended) -> Landed:
    place = (appended.topic, appended.partition, appended.base_offset, appended.count)
    return Landed(append.polled, *place, append.records.rows)
