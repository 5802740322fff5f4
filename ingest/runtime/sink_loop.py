"""The sink loop: read on from where the target stands, put, flush, and settle what a commit leaves to do.

The next delivery is read, decoded and transformed in a second thread while the sink takes this one; so at
most two deliveries are in memory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal

from ingest.connectors import (
    MAX_HELD_BYTES,
    Commit,
    Delivery,
    SinkContext,
    SinkTask,
    Standing,
    TopicPartition,
    held_bytes,
)
from ingest.errors import ConnectorError, TopicMissing
from ingest.runtime.closing import closing_after
from ingest.runtime.delivery_reader import DeliveryReader
from ingest.runtime.lag import Lag
from ingest.runtime.plan import SinkPlan
from ingest.runtime.progress import Progress
from ingest.runtime.sink_account import SinkAccount
from ingest.runtime.sink_dead_letters import SinkDeadLetters
from ingest.runtime.standing import standing_offsets
from ingest.runtime.task_setting import TaskSetting

End = Literal["done", "stopped"]

Offsets = Mapping[TopicPartition, int]

IDLE_WAIT_MS = 200


class SinkLoop:
    """One sink, from ``open`` to ``close``; made anew for each attempt.

    ``draining`` is set when the sources have ended: then the loop ends once all that the hub held at that
    moment is committed.
    """

    def __init__(
        self,
        setting: TaskSetting,
        sink: SinkPlan,
        task: SinkTask,
        account: SinkAccount,
        progress: Progress,
        *,
        stopping: threading.Event,
        draining: threading.Event,
        report: Callable[[str], None],
    ) -> None:
        self._setting = setting
        self._report = report
        self._hub = setting.hub
        self._fail = setting.environment.fail
        self._sink = sink
        self._task = task
        self._account = account
        self._stopping = stopping
        self._draining = draining
        self._owner = setting.plan.sink_owner(sink.name)
        self._group = setting.plan.group(sink.name)
        self._put: dict[TopicPartition, int] = {}
        self._committed: Offsets = {}
        self._number: int | None = None
        self._held_bytes = 0
        self._ends: dict[TopicPartition, int] | None = None
        self._lag = Lag(setting.hub, setting.environment.clock, progress)

    def run(self) -> End:
        """Until stopped or drained; what was put before is committed."""
        with closing_after(self._task):
            self._open()
            with ThreadPoolExecutor(1, thread_name_prefix=f"read {self._sink.name}") as ahead:
                end = self._deliver(ahead)
            more = self._flush(force=True)
            if end == "done":
                while more:  # a target may have taken a part of it
                    more = self._flush(force=True)
                self._task.finish()
            self._note_lag(force=True)
            return end

    def _open(self) -> None:
        writer = self._hub.register_writer(self._owner)
        topic_ids: dict[str, str] = {topic.name: topic.id for topic in self._hub.topics()}
        context = SinkContext(
            pipeline=self._setting.plan.pipeline,
            name=self._sink.name,
            hub_id=self._hub.id,
            topic_ids=topic_ids,
            epoch=writer.epoch,
            base_folder=self._setting.plan.base_folder,
            environment=self._setting.environment,
            tolerate=self._setting.tolerates,
            stopping=self._stopping,
            bounded=self._sink.until is not None,
            report=self._report,
        )
        standing = self._task.open(context)
        self._account.opened(standing)
        self._dead_letters = SinkDeadLetters(self._setting, self._sink.name, writer, remembers=standing is not None)
        if standing is not None and standing.last is not None:
            self._number = standing.last.number
        offsets = self._offsets(standing, context)
        self._dead_letters.resume(standing)
        if standing is not None and standing.last is not None:
            self._setting.on_commit(self._sink.name, standing.last)
        self._reader = DeliveryReader(self._setting, self._sink, offsets, topic_ids)
        self._reader.discover()
        self._put = dict(self._reader.positions)
        self._hold(self._reader.positions)

    def _offsets(self, standing: Standing | None, context: SinkContext) -> Mapping[TopicPartition, int]:
        if standing is None:
            return self._hub.group_offsets(self._group)
        return standing_offsets(standing, context, self._hub)

    def _deliver(self, ahead: ThreadPoolExecutor) -> End:
        coming = self._read_ahead(ahead)
        while not self._stopping.is_set():
            if self._draining.is_set() and self._caught_up(ahead):
                return "done"
            delivery = coming.result()
            coming = self._read_ahead(ahead)
            if delivery is not None:
                self._take(delivery)
            self._flush(force=self._held_bytes >= MAX_HELD_BYTES)
            self._note_lag()
        return "stopped"

    def _read_ahead(self, ahead: ThreadPoolExecutor) -> Future[Delivery | None]:
        due_ms = self._task.next_flush_ms()
        return ahead.submit(self._reader.next, IDLE_WAIT_MS if due_ms is None else max(0, min(due_ms, IDLE_WAIT_MS)))

    def _take(self, delivery: Delivery) -> None:
        place = TopicPartition(delivery.topic, delivery.partition)
        if place not in self._committed:
            self._hold({place: delivery.start})
        self._fail.hit("sink.read")
        self._task.put(delivery)
        self._fail.hit("sink.put")
        self._put[place] = delivery.end
        self._held_bytes += held_bytes(delivery.dead)
        self._account.put(delivery)

    def _flush(self, *, force: bool) -> bool:
        """Whether the task had something to commit."""
        commit = self._task.flush(force)
        if commit is None:
            return False
        self._fail.hit("sink.flushed")
        self._check_number(commit)
        self._account.committed(commit)
        self._dead_letters.settle(commit)
        self._fail.hit("sink.dead-letters")
        self._setting.on_commit(self._sink.name, commit)
        self._held_bytes = 0
        self._tell(self._hub.commit_group, self._group, commit.offsets)
        self._hold(commit.offsets)
        self._fail.hit("sink.reported")
        return True

    def _tell(self, tell: Callable[[str, Offsets], None], name: str, offsets: Offsets) -> Offsets:
        """Tells the hub ``offsets``, but for those of topics that were deleted: a target remembers them for ever.
        Returns what was told."""
        while True:
            there = {topic.name for topic in self._hub.topics()}
            known = {place: offset for place, offset in offsets.items() if place.topic in there}
            try:
                tell(name, known)
            except TopicMissing:
                continue  # deleted right now
            return known

    def _check_number(self, commit: Commit) -> None:
        """Dead letters are appended by number: a gap, or one number twice, would lose some."""
        if self._number is not None and commit.number != self._number + 1:
            raise ConnectorError(f"{self._sink.name} made commit {commit.number} after commit {self._number}")
        self._number = commit.number

    def _caught_up(self, ahead: ThreadPoolExecutor) -> bool:
        """Whether all is put that could be read when this was first asked; a deleted topic is no hindrance."""
        if self._ends is None:
            # in the reader's own thread, after what it is reading now
            self._ends = ahead.submit(self._reader.ends).result()
        return all(
            self._reader.reached(place, self._put_to(place)) >= end
            for place, end in self._ends.items()
            if place in self._reader.positions
        )

    def _put_to(self, place: TopicPartition) -> int:
        """The offset before which all is put: of a partition that appeared since, its start until then."""
        if place in self._put:
            return self._put[place]
        try:
            return self._hub.start_offset(*place)
        except TopicMissing:
            return 0  # the reader will forget it

    def _note_lag(self, *, force: bool = False) -> None:
        if force or self._lag.is_due():
            self._lag.note({place: self._reader.reached(place, offset) for place, offset in self._committed.items()})

    def _hold(self, offsets: Offsets) -> None:
        """Retention waits for this sink in all of its partitions, those that appeared while it runs included."""
        self._committed = self._tell(self._hub.hold_retention, self._owner, {**self._committed, **offsets})
