"""Small worlds for tests of the runtime: a clock under control, a source and a target in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ingest.config import Settings
from ingest.connectors import (
    Commit,
    DeadLetter,
    DeadRecords,
    Delivery,
    EndOfInput,
    Origin,
    Polled,
    Records,
    Rejected,
    SinkConnector,
    SinkContext,
    SinkTask,
    SourceConnector,
    SourceContext,
    SourceTask,
    Standing,
    TopicPartition,
    Transform,
    Transformed,
)
from ingest.environment import Environment
from ingest.errors import TopicMissing
from ingest.failpoints import FailPoints
from ingest.hub.embedded import EmbeddedHub
from ingest.runtime.plan import Plan, SinkPlan, SourcePlan
from ingest.runtime.worker import Outcome, Worker


class ManualClock:
    """Time that only tests move. ``wait`` returns at once, having moved it."""

    def __init__(self) -> None:
        self.ms = 1_700_000_000_000
        self.waits: list[int] = []

    def now_ms(self) -> int:
        return self.ms

    def monotonic_ms(self) -> int:
        return self.ms

    def wait(self, event: threading.Event, timeout_ms: int) -> bool:
        self.waits.append(timeout_ms)
        if not event.is_set():
            self.ms += timeout_ms
        return event.is_set()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class Crash(BaseException):
    """Raised at an armed fail point: nothing catches it but the thread's end."""


@dataclass
class System:
    """An outside system: an endless list of texts. ``before_poll`` may raise, per row number, once each."""

    rows: list[Any] = field(default_factory=list)
    per_poll: int = 3
    refuse: set[int] = field(default_factory=set)
    faults: dict[int, list[BaseException]] = field(default_factory=dict)
    told: list[int] = field(default_factory=list)
    opened: list[int] = field(default_factory=list)
    closed: int = 0
    value_type: pa.DataType | None = None
    topic: str = ""
    keys: Callable[[Sequence[Any]], pa.Array] | None = None
    timestamps: Callable[[Sequence[Any]], pa.Array] | None = None
    changed: threading.Event = field(default_factory=threading.Event)


class SystemSource(SourceConnector):
    """Reads a ``System`` in polls of a few rows."""

    Settings = Settings

    def __init__(self, system: System) -> None:
        self.system = system

    def tasks(self, most: int) -> Sequence[SourceTask]:
        return [SystemTask(self.system)]


class SystemTask(SourceTask):
    def __init__(self, system: System) -> None:
        self.system = system

    def open(self, context: SourceContext, positions: Mapping[str, Mapping[str, Any]]) -> None:
        self.context = context
        self.next = positions.get("list", {"next": 0})["next"]
        self.system.opened.append(self.next)

    def poll(self) -> Polled | None:
        system = self.system
        for fault in system.faults.get(self.next, []):
            system.faults[self.next].remove(fault)
            raise fault
        rows = system.rows[self.next : self.next + system.per_poll]
        if not rows:
            if self.context.until_caught_up:
                raise EndOfInput
            self.context.wait(20)
            return None
        numbers = range(self.next, self.next + len(rows))
        self.next += len(rows)
        good = [(number, row) for number, row in zip(numbers, rows, strict=True) if number not in system.refuse]
        bad = [(number, row) for number, row in zip(numbers, rows, strict=True) if number in system.refuse]
        return Polled(
            records=[self._records(good)] if good else [],
            positions={"list": {"next": self.next}},
            dead=[DeadRecords(self._records(bad), ["not wanted"] * len(bad), "read", "NotWanted")] if bad else [],
        )

    def _records(self, numbered: Sequence[tuple[int, Any]]) -> Records:
        rows = [row for _, row in numbered]
        return Records(
            value=pa.array(rows, self.system.value_type),
            topic=self.system.topic,
            stream="list",
            origin=Origin("list", "the-list"),
            positions=pa.array([number for number, _ in numbered], pa.int64()),
            key=self.system.keys(rows) if self.system.keys else None,
            timestamp=self.system.timestamps(rows) if self.system.timestamps else None,
        )

    def committed(self, positions: Mapping[str, Mapping[str, Any] | None]) -> None:
        position = positions["list"]
        assert position is not None
        self.system.told.append(position["next"])

    def close(self) -> None:
        self.system.closed += 1


@dataclass
class Target:
    """What a sink has written: it survives its tasks. A commit replaces ``standing`` and ``rows`` in one step."""

    remembers: bool = True
    rows: list[Any] = field(default_factory=list)
    standing: Standing = field(default_factory=Standing)
    commit_every: int = 1
    refuse: Callable[[Any], bool] = lambda value: False
    faults: dict[str, list[BaseException]] = field(default_factory=dict)
    opened: int = 0
    closed: int = 0
    deliveries: list[tuple[str, int, int, int]] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    def fault(self, step: str) -> None:
        for error in self.faults.get(step, []):
            self.faults[step].remove(error)
            raise error


class TargetSink(SinkConnector):
    Settings = Settings

    def __init__(self, target: Target) -> None:
        self.target = target

    def task(self) -> SinkTask:
        return TargetTask(self.target)


class TargetTask(SinkTask):
    """Writes to a ``Target``, a commit every so many deliveries."""

    def __init__(self, target: Target) -> None:
        self.target = target

    def open(self, context: SinkContext) -> Standing | None:
        self.target.opened += 1
        self.target.fault("open")
        self.context = context
        self.pending: list[Any] = []
        self.dead: list[DeadLetter] = []
        self.puts = 0
        last = self.target.standing.last
        self.offsets = dict(last.offsets) if last and self.target.remembers else {}
        self.number = last.number if last and self.target.remembers else 0
        return self.target.standing if self.target.remembers else None

    def put(self, delivery: Delivery) -> None:
        self.target.fault("put")
        place = TopicPartition(delivery.topic, delivery.partition)
        assert delivery.start == self.offsets.get(place, delivery.start), "deliveries follow each other without a gap"
        self.target.deliveries.append((delivery.topic, delivery.partition, delivery.start, delivery.end))
        self.puts += 1
        self.dead += delivery.dead
        for records in delivery.records:
            assert records.offsets is not None
            assert records.rows is not None
            self.target.headers += [] if records.headers is None else records.headers.to_pylist()
            for value, offset, row in zip(
                records.value.to_pylist(), records.offsets.to_pylist(), records.rows.to_pylist(), strict=True
            ):
                if self.target.refuse(value):
                    self.dead.append(DeadLetter(*place, offset, row, "write", "Refused", f"{value!r} is refused"))
                else:
                    self.pending.append(value)
        self.offsets[place] = delivery.end

    def flush(self, force: bool = False) -> Commit | None:
        if not self.puts or not (force or self.puts >= self.target.commit_every):
            return None
        self.target.fault("flush")
        commit = Commit(self.number + 1, dict(self.offsets), tuple(self.dead), rows=len(self.pending))
        self.target.rows += self.pending
        ids = dict(self.context.topic_ids)
        self.target.standing = Standing(commit, self.context.hub_id, ids, self.context.epoch)
        self.target.numbers.append(commit.number)
        self.number, self.pending, self.dead, self.puts = commit.number, [], [], 0
        self.target.fault("flushed")
        return commit

    def close(self) -> None:
        self.target.closed += 1


class Upper(Transform):
    """Upper case; rejects what begins with ``!``, filters out what begins with ``-``."""

    Settings = Settings

    def __init__(self) -> None:
        pass

    def apply(self, records: Records, state: Mapping[str, Any]) -> Transformed:
        values = records.value.to_pylist()
        bad = [row for row, value in enumerate(values) if value is not None and value.startswith("!")]
        keep = pa.array([value is None or value[:1] not in ("!", "-") for value in values])
        upper = pa.array([None if value is None else value.upper() for value in values], records.value.type)
        rejected = [Rejected(pa.array(bad, pa.int64()), ["it shouts"] * len(bad), "Shouting")] if bad else []
        return Transformed([records.with_value(upper).filter(keep)], rejected)


class Numbered(Transform):
    """Puts the number of the row within its stream before each value: it must remember."""

    Settings = Settings
    stateful = True

    def __init__(self) -> None:
        pass

    def apply(self, records: Records, state: Mapping[str, Any]) -> Transformed:
        first = state.get("count", 0)
        values = [f"{first + place}:{value}" for place, value in enumerate(records.value.to_pylist())]
        after = {"count": first + len(records)}
        return Transformed([records.with_value(pa.array(values, pa.string()))], state=after)


@dataclass(frozen=True)
class World:
    """The small connectors, for tests to build pipelines of, and a hub to run them on."""

    hub: EmbeddedHub
    folder: Path
    System: type[System] = System
    SystemSource: type[SystemSource] = SystemSource
    Target: type[Target] = Target
    TargetSink: type[TargetSink] = TargetSink
    Upper: type[Upper] = Upper
    Numbered: type[Numbered] = Numbered
    Crash: type[Crash] = Crash

    def plan(
        self,
        system: System | None = None,
        target: Target | None = None,
        *,
        source: Mapping[str, Any] | None = None,
        sink: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> Plan:
        """The pipeline ``p`` from ``system`` through the topic ``t`` to ``target``; either may be left out."""
        sources = [SourcePlan(**{"name": "in", "connector": SystemSource(system), "topic": "t", **(source or {})})]
        sinks = [SinkPlan(**{"name": "out", "connector": TargetSink(target), "topics": ["t"], **(sink or {})})]
        return Plan(
            **{
                "pipeline": "p",
                "base_folder": self.folder,
                "sources": sources if system else [],
                "sinks": sinks if target else [],
                **changes,
            }
        )

    def run(self, plan: Plan, environment: Environment | None = None, *, hub: EmbeddedHub | None = None) -> Outcome:
        """Runs until caught up."""
        return Worker(hub or self.hub, plan, environment or quiet(), until_caught_up=True).run()

    def crash_at(self, name: str, count: int = 1) -> Environment:
        """An environment that crashes at the count-th hit of a fail point."""
        environment = quiet()
        environment.fail.arm(name, _crash, count=count)
        return environment

    def records(self, topic: str) -> list[Records]:
        """All that readers see of a topic, partition by partition, as bytes."""
        found = []
        try:
            partitions = self.hub.topic(topic).partitions
        except TopicMissing:
            return []
        for partition in range(partitions):
            offset = self.hub.start_offset(topic, partition)
            while offset < self.hub.end_offset(topic, partition):
                fetched = self.hub.read(topic, partition, offset, max_bytes=1 << 20)
                offset = fetched.end
                found += [fetched.records] if fetched.records is not None else []
        return found

    def values(self, topic: str) -> list[bytes]:
        """The values of a topic."""
        return [value for records in self.records(topic) for value in records.value.to_pylist()]

    def dead(self, topic: str = "p.dead") -> list[tuple[bytes, dict[str, str]]]:
        """Value and ``ingest.error.*`` headers of each dead letter."""
        found = []
        for records in self.records(topic):
            assert records.headers is not None
            for value, headers in zip(records.value.to_pylist(), records.headers.to_pylist(), strict=True):
                named = {h["key"].removeprefix("ingest.error."): h["value"].decode() for h in headers}
                found.append((value, named))
        return found


def quiet() -> Environment:
    """The world as it is, whatever fail points the environment variable names."""
    return Environment(fail=FailPoints())


def _crash() -> None:
    raise Crash


@pytest.fixture
def world(hub: EmbeddedHub, tmp_path: Path) -> World:
    return World(hub, tmp_path)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[EmbeddedHub]:
    opened = EmbeddedHub.open(tmp_path / "data", quiet())
    yield opened
    opened.close()
