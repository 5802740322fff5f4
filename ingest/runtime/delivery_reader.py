"""What a sink gets next: read, decoded and transformed, one partition after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

import numpy as np
import pyarrow as pa

from ingest.connectors import DeadLetter, Delivery, Records, TopicPartition
from ingest.errors import IdentityMismatch, OffsetOutOfRange, RecordRefused, TopicMissing
from ingest.formats.format import RejectedInside
from ingest.hub.contract import Fetched, TopicInfo
from ingest.runtime.plan import SinkPlan
from ingest.runtime.standing import position_lost, start_offset
from ingest.runtime.task_setting import TaskSetting
from ingest.runtime.transform_chain import Refusal, TransformChain

READ_BYTES = 4 * 1024 * 1024
"""About how much of one partition is read at once; two such reads are in memory."""
MOST_REASON = 2_000
"""Characters; a reason may quote the value, and is held in memory until the commit."""
DISCOVER_MS = 1_000


class DeliveryReader:
    """Reads on from where the sink stands, and finds topics and partitions that appear later.

    Used by one thread at a time. ``topic_ids`` is filled with the topics that are read.
    """

    def __init__(
        self, setting: TaskSetting, sink: SinkPlan, offsets: Mapping[TopicPartition, int], topic_ids: dict[str, str]
    ) -> None:
        self._setting = setting
        self._hub = setting.hub
        self._sink = sink
        self._known = offsets
        self._topic_ids = topic_ids
        self._chain = TransformChain(sink.transforms)
        self._want_headers = sink.connector.reads_headers or any(each.reads_headers for each in sink.transforms)
        self._turns: deque[TopicPartition] = deque()
        self._discovered_ms: int | None = None
        self._quiet: dict[TopicPartition, tuple[int, int]] = {}
        self.positions: dict[TopicPartition, int] = {}

    def discover(self) -> None:
        """Takes up topics and partitions that are new; raises ``IdentityMismatch`` if a topic was replaced."""
        self._discovered_ms = self._setting.environment.clock.monotonic_ms()
        for topic in self._hub.topics():
            if not self._wants(topic):
                continue
            if self._topic_ids.setdefault(topic.name, topic.id) != topic.id:
                raise IdentityMismatch(
                    f"the topic {topic.name} was deleted and made anew while {self._sink.name} was reading it",
                    hint="use a new target, or see: ingest positions reset",
                    topic=topic.name,
                )
            for partition in range(topic.partitions):
                place = TopicPartition(topic.name, partition)
                if place not in self.positions and self._is_within(place):
                    self.positions[place] = start_offset(self._hub, place, self._known.get(place), self._sink.name)
                    self._turns.append(place)

    def next(self, wait_ms: int) -> Delivery | None:
        """The next delivery; waits up to ``wait_ms`` for records to come if there is none yet."""
        self._discover_if_due()
        delivery = self._round()
        if delivery is None and self._hub.wait(self._unfinished(), wait_ms):
            delivery = self._round()
        return delivery

    def ends(self) -> dict[TopicPartition, int]:
        """What can be read by now of all topics; used to know when a sink has caught up."""
        self.discover()
        until = self._sink.until
        return {place: self._hub.end_offset(*place) if until is None else until[place] for place in self.positions}

    def reached(self, place: TopicPartition, offset: int) -> int:
        """``offset``, moved over what is known to hold no record: markers, and what was aborted.

        Such a range is delivered with the next record: it is no reason for a commit of its own. May be
        called by other threads.
        """
        start, end = self._quiet.get(place, (0, 0))
        return end if start <= offset < end else offset

    def _wants(self, topic: TopicInfo) -> bool:
        return wants(self._sink, topic, self._setting.plan.errors_topic)

    def _is_within(self, place: TopicPartition) -> bool:
        return self._sink.until is None or place in self._sink.until

    def _unfinished(self) -> Mapping[TopicPartition, int]:
        """The positions of what is still to be read; where a range has ended, more records are no news."""
        until = self._sink.until
        if until is None:
            return self.positions
        return {place: position for place, position in self.positions.items() if position < until[place]}

    def _discover_if_due(self) -> None:
        now = self._setting.environment.clock.monotonic_ms()
        if self._discovered_ms is None or now - self._discovered_ms >= DISCOVER_MS:
            self.discover()

    def _round(self) -> Delivery | None:
        """Looks at each partition once, beginning after the one that was served last."""
        for _ in range(len(self._turns)):
            place = self._turns[0]
            self._turns.rotate(-1)
            delivery = self._read(place)
            if delivery is not None:
                self.positions[place] = delivery.end
                return delivery
        return None

    def _read(self, place: TopicPartition) -> Delivery | None:
        start = position = self.positions[place]
        if place in self._quiet:
            start = self._quiet[place][0]
        while True:
            fetched = self._fetch(place, position)
            if fetched is None or fetched.end == position:
                return None
            if fetched.records is not None:
                break
            position = self.positions[place] = fetched.end
            self._quiet[place] = (start, position)
        self._quiet.pop(place, None)
        records, dead, filtered = self._transformed(fetched.records)
        return Delivery(*place, start, fetched.end, records, dead, filtered)

    def _fetch(self, place: TopicPartition, position: int) -> Fetched | None:
        """None if the topic is gone, or its range has ended."""
        until = None if self._sink.until is None else self._sink.until[place]
        if until is not None and position >= until:
            return None
        try:
            fetched = self._hub.read(*place, position, max_bytes=READ_BYTES, want_headers=self._want_headers)
            return fetched if until is None or fetched.end <= until else _cut(fetched, until)
        except TopicMissing:
            self._forget(place)
            return None
        except OffsetOutOfRange as error:
            first = self._hub.start_offset(*place)
            if position >= first:
                raise
            raise position_lost(place, position, first, self._sink.name) from error

    def _forget(self, place: TopicPartition) -> None:
        """The topic was deleted. Should it come back it is another one, which ``discover`` will notice."""
        self._turns.remove(place)
        del self.positions[place]
        self._quiet.pop(place, None)

    def _transformed(self, raw: Records) -> tuple[list[Records], list[DeadLetter], int]:
        decoded = self._setting.topics.decode(raw)
        dead: list[DeadLetter] = []
        for rejected in decoded.rejected:
            rows = rejected.rows.to_numpy()
            inside = rejected.inside.to_numpy() if isinstance(rejected, RejectedInside) else np.zeros_like(rows)
            dead += self._dead(raw, rows, inside, Refusal(rejected.rows, rejected.reasons, "decode", rejected.error))
        records = decoded.records
        if not len(records):
            return [], dead, 0
        inner = np.zeros(len(records), dtype=np.int64) if decoded.inside is None else decoded.inside.to_numpy()
        result = self._chain.apply(records)
        for refusal in result.refused:
            rows = refusal.rows.to_numpy()
            dead += self._dead(records, rows, inner[rows], refusal)
        made = [replace(part, rows=pa.array(inner).take(part.rows)) for part in result.records]
        return made, dead, result.filtered

    def _dead(self, records: Records, rows: np.ndarray, inside: np.ndarray, refusal: Refusal) -> list[DeadLetter]:
        """The letters of ``rows`` of ``records``; ``inside`` is the row in its record of each of them."""
        offsets: pa.Array = records.offsets
        numbers = offsets.to_numpy()[rows].tolist()
        if numbers and not self._setting.tolerates:
            raise RecordRefused(
                f"{records.topic}-{records.partition} offset {numbers[0]}: {refusal.stage}: {refusal.reasons[0]}",
                hint="set errors.tolerance to dead-letter to keep such records apart and go on",
                sink=self._sink.name,
                stage=refusal.stage,
            )
        place = (records.topic, records.partition or 0)
        return [
            DeadLetter(*place, offset, row, refusal.stage, refusal.error, reason[:MOST_REASON])
            for offset, row, reason in zip(numbers, inside.tolist(), refusal.reasons, strict=True)
        ]


def wants(sink: SinkPlan, topic: TopicInfo, errors_topic: str) -> bool:
    """Whether ``sink`` reads ``topic``. A pattern never means the hub's own topics, nor the one to which the sink
    itself may write."""
    if topic.name in sink.topics:
        return True
    if topic.internal or topic.name == errors_topic:
        return False
    return any(fnmatchcase(topic.name, pattern) for pattern in sink.topics)


def _cut(fetched: Fetched, end: int) -> Fetched:
    """What of it lies before ``end``."""
    records = fetched.records
    if records is not None and records.offsets is not None:
        count = int(np.searchsorted(records.offsets.to_numpy(), end))
        records = records.slice(0, count) if count else None
    return Fetched(records, fetched.start, end, fetched.high_watermark)
