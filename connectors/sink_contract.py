"""The contract suite of sinks: see ``ingest.connectors.testing``."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import ClassVar, NoReturn

import pyarrow as pa
import pytest

from ingest.connectors.dead_letters import DeadLetter
from ingest.connectors.records import TIMESTAMP, Records
from ingest.connectors.sink import Commit, Delivery, SinkConnector, SinkContext, SinkTask, Standing, TopicPartition
from ingest.environment import Environment
from ingest.errors import RecordRefused, SinkFenced
from ingest.failpoints import FailPoints

_TOPIC_IDS = {"events": "11111111-1111-1111-1111-111111111111", "other": "22222222-2222-2222-2222-222222222222"}
_HUB = "99999999-9999-9999-9999-999999999999"
_NOW_MS = 1_700_000_000_000


class Crash(BaseException):
    """Raised at an armed fail point. No ``except Exception`` may stop it: a killed process does not return."""


class SinkContract(ABC):
    """Every sink passes these. ``folder`` is a fresh folder of the test, where the target may live."""

    remembers: ClassVar[bool] = True
    """False for a target that cannot store a position (``open`` returns None): then what is about
    standing, fencing and crashes is skipped."""
    fail_points: ClassVar[Sequence[str]] = ()
    """The names that this sink hits in ``put``, ``flush`` and ``open``; the suite crashes at each."""

    @abstractmethod
    def sink(self, folder: Path) -> SinkConnector:
        """A connector that writes below ``folder``, and commits when it is forced to."""

    @abstractmethod
    def rows(self, folder: Path) -> Sequence[str]:
        """The rows that a reader of the target sees now, in any order."""

    def value(self, rows: Sequence[str]) -> pa.Array:
        """The value column that carries these rows to the sink."""
        return pa.StructArray.from_arrays([pa.array(rows, pa.string())], names=["row"])

    def poison(self) -> pa.Array:
        """One value that this sink must refuse, in a column like that of ``value``."""
        pytest.skip("no `poison`: this sink refuses no record")

    def crash(self, task: SinkTask) -> None:
        """Leaves ``task`` as a killed process would. Override it where the task holds what the system
        would have released, such as the lock of a database; by default it is just not used any more."""
        return

    # -- commits and standing

    def test_a_fresh_target_has_no_commit(self, tmp_path: Path) -> None:
        self.needs_memory()
        with self.opened(tmp_path) as (_, standing):
            assert standing.last is None
        assert list(self.rows(tmp_path)) == []

    def test_a_target_that_remembers_nothing_says_so(self, tmp_path: Path) -> None:
        with self.opening(tmp_path) as task:
            assert (task.open(context(tmp_path)) is not None) == self.remembers

    def test_a_forced_flush_makes_rows_visible(self, tmp_path: Path) -> None:
        with self.opening(tmp_path) as task:
            task.open(context(tmp_path))
            commit = self.write(task, 0, 10)
        assert commit.offsets[TopicPartition("events", 0)] == 10
        assert sorted(self.rows(tmp_path)) == texts(0, 10)

    def test_a_reopened_target_stands_at_its_last_commit(self, tmp_path: Path) -> None:
        self.needs_memory()
        with self.opened(tmp_path) as (task, _):
            commit = self.write(task, 0, 10)
        with self.opened(tmp_path, epoch=2) as (_, standing):
            assert standing.last is not None
            assert standing.last.number == commit.number == 1
            assert dict(standing.last.offsets) == dict(commit.offsets) == {TopicPartition("events", 0): 10}

    def test_the_identities_come_back(self, tmp_path: Path) -> None:
        self.needs_memory()
        with self.opened(tmp_path, epoch=7) as (task, _):
            self.write(task, 0, 10)
        with self.opened(tmp_path, epoch=8) as (_, standing):
            assert standing.hub_id == _HUB
            assert standing.topic_ids["events"] == _TOPIC_IDS["events"]
            assert standing.epoch == 7

    def test_commit_numbers_have_no_gap_over_restarts(self, tmp_path: Path) -> None:
        self.needs_memory()
        numbers = []
        for life in range(3):
            with self.opened(tmp_path, epoch=life + 1) as (task, standing):
                start = next_offset(standing)
                numbers += [self.write(task, start + at, start + at + 5).number for at in (0, 5)]
        assert numbers == [1, 2, 3, 4, 5, 6]
        assert sorted(self.rows(tmp_path)) == texts(0, 30)

    def test_a_commit_names_the_offsets_of_all_partitions(self, tmp_path: Path) -> None:
        self.needs_memory()
        with self.opened(tmp_path) as (task, _):
            self.write(task, 0, 10)
            task.put(self.delivery(0, 4, topic="other", partition=3, first=100))
            commit = task.flush(force=True)
        assert commit is not None
        expected = {TopicPartition("events", 0): 10, TopicPartition("other", 3): 4}
        assert dict(commit.offsets) == expected
        with self.opened(tmp_path, epoch=2) as (_, standing):
            assert standing.last is not None
            assert dict(standing.last.offsets) == expected
        assert sorted(self.rows(tmp_path)) == texts(0, 10) + texts(100, 104)

    def test_a_forced_flush_with_nothing_pending_is_none(self, tmp_path: Path) -> None:
        with self.opening(tmp_path) as task:
            task.open(context(tmp_path))
            assert task.flush(force=True) is None
            self.write(task, 0, 10)
            assert task.flush(force=True) is None
            assert task.flush() is None

    def test_a_delivery_without_records_advances(self, tmp_path: Path) -> None:
        with self.opening(tmp_path) as task:
            task.open(context(tmp_path))
            task.put(Delivery("events", 0, 0, 25))
            commit = task.flush(force=True)
        assert commit is not None
        assert commit.offsets[TopicPartition("events", 0)] == 25
        assert list(self.rows(tmp_path)) == []
        if self.remembers:
            with self.opened(tmp_path, epoch=2) as (_, standing):
                assert next_offset(standing) == 25

    def test_a_delivery_may_bring_several_batches(self, tmp_path: Path) -> None:
        with self.opening(tmp_path) as task:
            task.open(context(tmp_path))
            parts = [part for start in (0, 4) for part in self.delivery(start, start + 4).records]
            task.put(Delivery("events", 0, 0, 8, parts))
            assert task.flush(force=True) is not None
        assert sorted(self.rows(tmp_path)) == texts(0, 8)

    # -- crashes

    def test_what_was_put_but_not_flushed_is_forgotten(self, tmp_path: Path) -> None:
        self.needs_memory()
        with self.opened(tmp_path) as (task, _):
            self.write(task, 0, 10)
            task.put(self.delivery(10, 20))
        self.finish(tmp_path, epoch=2, expect_start=10)

    def test_a_crash_before_the_flush_loses_and_doubles_nothing(self, tmp_path: Path) -> None:
        self.needs_memory()
        with self.opening(tmp_path) as task:
            task.open(context(tmp_path))
            self.write(task, 0, 10)
            task.put(self.delivery(10, 20))
            self.crash(task)
            self.finish(tmp_path, epoch=2, expect_start=10)

    def test_a_crash_after_the_flush_loses_and_doubles_nothing(self, tmp_path: Path) -> None:
        self.needs_memory()
        with self.opening(tmp_path) as task:
            task.open(context(tmp_path))
            self.write(task, 0, 10)
            self.write(task, 10, 20)
            self.crash(task)
            self.finish(tmp_path, epoch=2, expect_start=20)

    def test_a_crash_at_each_fail_point_loses_and_doubles_nothing(self, tmp_path: Path) -> None:
        self.needs_memory()
        if not self.fail_points:
            pytest.skip("no `fail_points`: this sink names none")
        for name in self.fail_points:
            folder = tmp_path / name
            folder.mkdir()
            with contextlib.ExitStack() as zombies:
                self.crash_at(name, folder, zombies)
                self.finish(folder, epoch=10)

    def test_a_crash_while_recovering_from_a_crash_loses_and_doubles_nothing(self, tmp_path: Path) -> None:
        self.needs_memory()
        if not self.fail_points:
            pytest.skip("no `fail_points`: this sink names none")
        for number, first in enumerate(self.fail_points):
            for second in self.fail_points:
                folder = tmp_path / f"{number}-{second}"
                folder.mkdir()
                with contextlib.ExitStack() as zombies:
                    self.crash_at(first, folder, zombies)
                    self.crash_at(second, folder, zombies, epoch=5, must=False)
                    self.finish(folder, epoch=10)

    # -- fencing, dead letters, failing

    def test_an_older_epoch_cannot_open(self, tmp_path: Path) -> None:
        self.needs_memory()
        with self.opened(tmp_path, epoch=5) as (task, _):
            self.write(task, 0, 10)
        with self.opening(tmp_path) as old, pytest.raises(SinkFenced):
            old.open(context(tmp_path, epoch=4))

    def test_a_writer_is_fenced_once_a_newer_one_has_committed(self, tmp_path: Path) -> None:
        self.needs_memory()
        with self.opened(tmp_path, epoch=1) as (old, _):
            self.write(old, 0, 10)
            with self.opened(tmp_path, epoch=2) as (new, _):
                self.write(new, 10, 20)
            with pytest.raises(SinkFenced):
                put_and_flush(old, self.delivery(10, 20))
        assert sorted(self.rows(tmp_path)) == texts(0, 20)

    def test_dead_letters_travel_with_the_commit(self, tmp_path: Path) -> None:
        letter = DeadLetter("events", 0, 3, 0, "parse", "ParseFailed", "no such format — ☃")
        with self.opening(tmp_path) as task:
            task.open(context(tmp_path))
            task.put(Delivery("events", 0, 0, 5, self.delivery(0, 3).records, [letter]))
            commit = task.flush(force=True)
        assert commit is not None
        assert list(commit.dead) == [letter]
        if self.remembers:
            with self.opened(tmp_path, epoch=2) as (_, standing):
                assert standing.last is not None
                assert list(standing.last.dead) == [letter]

    def test_a_refused_record_becomes_a_dead_letter_and_its_neighbours_are_written(self, tmp_path: Path) -> None:
        with self.opening(tmp_path) as task:
            task.open(context(tmp_path))
            task.put(self.poisoned())
            commit = task.flush(force=True)
        assert commit is not None
        assert [letter[:4] for letter in map(astuple, commit.dead)] == [("events", 0, 4, 0)]
        assert commit.dead[0].reason
        assert commit.offsets[TopicPartition("events", 0)] == 9
        assert sorted(self.rows(tmp_path)) == texts(0, 4) + texts(5, 9)

    def test_a_refused_record_stops_a_pipeline_that_tolerates_none(self, tmp_path: Path) -> None:
        poisoned = self.poisoned()
        with self.opening(tmp_path) as task:
            task.open(context(tmp_path, tolerate=False))
            with pytest.raises(RecordRefused):
                put_and_flush(task, poisoned)
        assert list(self.rows(tmp_path)) == []

    def test_close_does_not_mind_a_task_that_never_opened(self, tmp_path: Path) -> None:
        self.sink(tmp_path).task().close()

    # -- how the suite plays the engine

    def needs_memory(self) -> None:
        if not self.remembers:
            pytest.skip("`remembers` is false: this target stores no position")

    @contextlib.contextmanager
    def opening(self, folder: Path) -> Iterator[SinkTask]:
        """A task, not opened yet; closed at the end."""
        task = self.sink(folder).task()
        try:
            yield task
        finally:
            task.close()

    @contextlib.contextmanager
    def opened(self, folder: Path, *, epoch: int = 1) -> Iterator[tuple[SinkTask, Standing]]:
        """An open task, and where it stands."""
        with self.opening(folder) as task:
            standing = task.open(context(folder, epoch=epoch))
            assert standing is not None
            yield task, standing

    def delivery(
        self, start: int, end: int, *, topic: str = "events", partition: int = 0, first: int | None = None
    ) -> Delivery:
        """Offsets ``start``..``end`` with one row each; rows are numbered from ``first``, or as the offsets."""
        rows = texts(first, first + end - start) if first is not None else texts(start, end)
        return Delivery(topic, partition, start, end, [records(self.value(rows), topic, partition, start)])

    def poisoned(self) -> Delivery:
        """Nine rows, of which the one at offset 4 is poison."""
        value = pa.concat_arrays([self.value(texts(0, 4)), self.poison(), self.value(texts(5, 9))])
        return Delivery("events", 0, 0, 9, [records(value, "events", 0, 0)])

    def write(self, task: SinkTask, start: int, end: int) -> Commit:
        """Puts and commits one delivery."""
        task.put(self.delivery(start, end))
        commit = task.flush(force=True)
        assert commit is not None
        return commit

    def crash_at(
        self, name: str, folder: Path, zombies: contextlib.ExitStack, *, epoch: int = 1, must: bool = True
    ) -> None:
        """Writes offsets up to 20 in two commits and dies at the fail point; what died is closed with ``zombies``."""
        armed = Environment(fail=FailPoints())
        armed.fail.arm(name, _crash)
        task = zombies.enter_context(self.opening(folder))
        try:
            standing = task.open(context(folder, epoch=epoch, environment=armed))
            assert standing is not None
            for start in range(next_offset(standing), 20, 10):
                self.write(task, start, start + 10)
        except Crash:
            self.crash(task)
        else:
            self.crash(task)
            assert not must, f"the fail point {name} was never hit"

    def finish(self, folder: Path, *, epoch: int, expect_start: int | None = None) -> None:
        """After a crash: goes on from where the target stands up to offset 20; all rows are there once."""
        with self.opened(folder, epoch=epoch) as (task, standing):
            start, number = next_offset(standing), standing.last.number if standing.last else 0
            assert expect_start is None or start == expect_start
            assert sorted(self.rows(folder)) == texts(0, start)
            if start < 20:
                assert self.write(task, start, 20).number == number + 1
        assert sorted(self.rows(folder)) == texts(0, 20)


def context(
    folder: Path, *, epoch: int = 1, tolerate: bool = True, environment: Environment | None = None
) -> SinkContext:
    """What the runtime would give to a sink of the pipeline ``contract``."""
    return SinkContext(
        pipeline="contract",
        name="suite",
        hub_id=_HUB,
        topic_ids=_TOPIC_IDS,
        epoch=epoch,
        base_folder=folder,
        environment=environment or Environment(fail=FailPoints()),
        tolerate=tolerate,
    )


def records(value: pa.Array, topic: str, partition: int, start: int) -> Records:
    """One record per offset from ``start`` on, as read from a hub."""
    offsets = pa.array(range(start, start + len(value)), pa.int64())
    timestamps = pa.array([_NOW_MS] * len(value), pa.int64()).cast(TIMESTAMP)
    inside = pa.array([0] * len(value), pa.int64())
    return Records(value=value, topic=topic, partition=partition, offsets=offsets, timestamp=timestamps, rows=inside)


def texts(start: int, end: int) -> list[str]:
    """The rows numbered ``start``..``end``; they sort as their numbers do."""
    return [f"row-{number:05}" for number in range(start, end)]


def next_offset(standing: Standing) -> int:
    """The next offset of partition 0 of the topic ``events``."""
    offsets: Mapping[TopicPartition, int] = standing.last.offsets if standing.last else {}
    return offsets.get(TopicPartition("events", 0), 0)


def put_and_flush(task: SinkTask, delivery: Delivery) -> Commit | None:
    """A sink may refuse in either step."""
    task.put(delivery)
    return task.flush(force=True)


def _crash() -> NoReturn:
    raise Crash
