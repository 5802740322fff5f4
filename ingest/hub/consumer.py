"""Reading from a program: subscribe or assign, rows or columns, alone or as one of a group."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

import pyarrow as pa

from ingest.connectors import Records, TopicPartition
from ingest.environment import Environment
from ingest.errors import Closed, OffsetOutOfRange, TopicMissing, UsageError
from ingest.hub.contract import Hub
from ingest.hub.group_members import groups_of
from ingest.hub.values import Values

Start = Literal["beginning", "end"]
LOOK_AGAIN_MS = 200
COMMIT_EVERY_MS = 1_000


class Row(NamedTuple):
    """One record. ``value`` is a dictionary where the topic's format has columns, text for ``lines``, else bytes."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: object
    headers: list[tuple[str, bytes | None]]


class Consumer:
    """Made by ``Client.consumer``. Used by one thread.

    Positions move as ``poll`` returns records. With a group, what earlier polls returned is committed by later
    ones (every second, before a partition moves, and by ``close``): a crash repeats records, it loses none.
    """

    def __init__(
        self,
        hub: Hub,
        env: Environment,
        values: Values,
        topics: Collection[str] = (),
        *,
        pattern: str | None = None,
        group: str | None = None,
        start: Start = "beginning",
        committed: bool = True,
        auto_commit: bool = True,
        raw: bool = False,
        max_bytes: int = 4 * 1024 * 1024,
        max_poll_interval_ms: int = 300_000,
    ) -> None:
        self._hub = hub
        self._clock = env.clock
        self._values = values
        self._topics = frozenset(topics)
        self._pattern = re.compile(pattern) if pattern is not None else None
        self._group = group
        self._start = start
        self._committed_only = committed
        self._auto_commit = auto_commit
        self._raw = raw
        self._max_bytes = max_bytes
        self._positions: dict[TopicPartition, int] = {}
        self._uncommitted: set[TopicPartition] = set()
        self._paused: set[TopicPartition] = set()
        self._turns: list[TopicPartition] = []
        self._assigned: frozenset[TopicPartition] | None = None
        self._last_commit_ms = env.clock.monotonic_ms()
        self._closed = False
        subscribed = bool(topics) or pattern is not None
        self._members = groups_of(hub, env.clock).named(group) if group is not None and subscribed else None
        self._member = self._members.join(self._subscribed, max_poll_interval_ms) if self._members else None

    # --- what it reads

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Reads exactly these, without sharing them. Not together with a subscription."""
        if self._topics or self._pattern is not None:
            raise UsageError("a consumer either subscribes to topics or is assigned partitions")
        self._assigned = frozenset(TopicPartition(*place) for place in partitions)
        for place in self._assigned:
            self._hub.start_offset(*place)  # raises TopicMissing
        self._take(set(self._assigned))

    def assignment(self) -> set[TopicPartition]:
        """What this consumer reads, as of its last poll."""
        return set(self._positions)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """``poll`` leaves these out until ``resume``."""
        self._paused |= {TopicPartition(*place) for place in partitions}

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self._paused -= {TopicPartition(*place) for place in partitions}

    # --- reading

    def poll(self, timeout_ms: int = 1_000) -> list[Records]:
        """The next records, one ``Records`` per partition that has some; waits up to ``timeout_ms`` for the first.

        Raises ``OffsetOutOfRange`` if retention has taken what comes next (seek to go on), and ``DecodeFailed``.
        """
        deadline_ms = self._clock.monotonic_ms() + timeout_ms
        while True:
            self._check_open()
            self._commit_if_due()
            self._rebalance()
            found = self._fetch()
            left_ms = deadline_ms - self._clock.monotonic_ms()
            if found or left_ms <= 0:
                return found
            self._wait(min(left_ms, LOOK_AGAIN_MS))

    def rows(self, timeout_ms: int = 1_000) -> list[Row]:
        """The next records as rows; see ``poll``."""
        return [row for records in self.poll(timeout_ms) for row in _rows(records)]

    def __iter__(self) -> Iterator[Row]:
        """Rows without end, until the consumer is closed."""
        while not self._closed:
            yield from self.rows()

    # --- positions

    def position(self, partition: TopicPartition) -> int:
        """The offset that ``poll`` reads next."""
        return self._positions[self._own(partition)]

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._positions[self._own(partition)] = offset
        self._uncommitted.add(TopicPartition(*partition))

    def seek_to_time(self, timestamp_ms: int) -> None:
        """Of all partitions, to the first record at or after this time; to the end where there is none."""
        for place in list(self._positions):
            found = self._hub.offset_for_time(*place, timestamp_ms)
            self.seek(place, self._end(place) if found is None else found)

    def seek_to_beginning(self) -> None:
        for place in list(self._positions):
            self.seek(place, self._hub.start_offset(*place))

    def seek_to_end(self) -> None:
        for place in list(self._positions):
            self.seek(place, self._end(place))

    def commit(self, offsets: Mapping[TopicPartition, int] | None = None) -> None:
        """Reports where the group stands: at ``offsets``, or after what ``poll`` has returned. On disk within 50 ms."""
        if self._group is None:
            raise UsageError("only a consumer of a group commits", hint='consumer(…, group="name")')
        if offsets is None:
            offsets = {place: self._positions[place] for place in self._uncommitted if place in self._positions}
        own = {self._own(place): offset for place, offset in offsets.items()}
        if own:
            self._hub.commit_group(self._group, own)
        self._uncommitted -= own.keys()
        self._last_commit_ms = self._clock.monotonic_ms()

    def committed(self) -> Mapping[TopicPartition, int]:
        """What the group has reported."""
        return self._hub.group_offsets(self._group) if self._group is not None else {}

    def close(self) -> None:
        """Commits (unless ``auto_commit`` is off) and leaves the group. Idempotent."""
        if self._closed:
            return
        if self._group is not None and self._auto_commit:
            self._give_up_lost()
            self.commit()
        self._closed = True
        if self._members is not None and self._member is not None:
            self._members.leave(self._member)

    def __enter__(self) -> Consumer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- inside

    def _subscribed(self) -> set[TopicPartition]:
        """All partitions of the topics that the subscription covers now; a pattern never means internal ones."""
        return {
            TopicPartition(info.name, partition)
            for info in self._hub.topics()
            if info.name in self._topics
            or (self._pattern is not None and not info.internal and self._pattern.fullmatch(info.name))
            for partition in range(info.partitions)
        }

    def _rebalance(self) -> None:
        if self._members is None or self._member is None:
            self._take(set(self._assigned) if self._assigned is not None else self._subscribed())
            return
        leaving = self._members.plan(self._member)
        self._give_up_lost()
        if leaving and self._auto_commit:
            self.commit()
        self._take(self._members.settle(self._member))

    def _give_up_lost(self) -> None:
        """Away for too long, others read what was ours: our positions count no more."""
        if self._member is not None:
            self._take(self._positions.keys() & self._member.owned)

    def _take(self, places: set[TopicPartition]) -> None:
        for place in self._positions.keys() - places:
            del self._positions[place]
            self._uncommitted.discard(place)
        gained = places - self._positions.keys()
        if gained:
            known = self.committed()
            for place in gained:
                self._positions[place] = known[place] if place in known else self._first(place)
        if self._positions.keys() != set(self._turns):
            self._turns = sorted(self._positions)

    def _first(self, place: TopicPartition) -> int:
        return self._hub.start_offset(*place) if self._start == "beginning" else self._end(place)

    def _end(self, place: TopicPartition) -> int:
        return self._hub.end_offset(*place, committed=self._committed_only)

    def _fetch(self) -> list[Records]:
        """From each partition in turn, until there are ``max_bytes``."""
        found: list[Records] = []
        left = self._max_bytes
        for place in list(self._turns):
            if left <= 0:
                break
            self._turns.append(self._turns.pop(0))
            if place not in self._paused:
                records = self._read(place, left)
                if records is not None:
                    found.append(records)
                    left -= records.nbytes
        return found

    def _read(self, place: TopicPartition, max_bytes: int) -> Records | None:
        """Skips ranges in which nothing is visible."""
        while True:
            position = self._positions[place]
            try:
                fetched = self._hub.read(*place, position, max_bytes=max_bytes, committed=self._committed_only)
            except TopicMissing:
                return None  # deleted: the next poll lets go of it
            except OffsetOutOfRange as error:
                error.hint = "retention has removed what comes next: seek, for example seek_to_beginning()"
                raise
            records = fetched.records
            if records is not None and not self._raw:
                records = self._values.decode(records)
            if fetched.end > position:
                self._positions[place] = fetched.end
                self._uncommitted.add(place)
            if records is not None or fetched.end <= position:
                return records

    def _wait(self, timeout_ms: int) -> None:
        places = {place: at for place, at in self._positions.items() if place not in self._paused}
        try:
            self._hub.wait(places, timeout_ms)
        except TopicMissing:
            return

    def _commit_if_due(self) -> None:
        if self._group is None or not self._auto_commit or not self._uncommitted:
            return
        if self._clock.monotonic_ms() - self._last_commit_ms >= COMMIT_EVERY_MS:
            self._give_up_lost()
            self.commit()

    def _own(self, partition: TopicPartition) -> TopicPartition:
        place = TopicPartition(*partition)
        if place not in self._positions:
            raise UsageError(f"{place.topic}-{place.partition} is not assigned to this consumer", hint="poll first")
        return place

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the consumer is closed")


def _rows(records: Records) -> Iterator[Row]:
    assert records.partition is not None
    assert records.offsets is not None
    count = len(records)
    times = records.timestamp.cast(pa.int64()).to_pylist() if records.timestamp is not None else [-1] * count
    keys = records.key.to_pylist() if records.key is not None else [None] * count
    headers = records.headers.to_pylist() if records.headers is not None else [None] * count
    columns = zip(records.offsets.to_pylist(), times, keys, records.value.to_pylist(), headers, strict=True)
    for offset, time, key, value, pairs in columns:
        found = [(pair["key"], pair["value"]) for pair in pairs or ()]
        yield Row(records.topic, records.partition, offset, time, key, value, found)
