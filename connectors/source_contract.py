"""The contract suite of sources: see ``ingest.connectors.testing``."""

from __future__ import annotations

import json
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ingest.connectors.dead_letters import DeadRecords
from ingest.connectors.records import Records
from ingest.connectors.source import EndOfInput, Polled, Position, SourceConnector, SourceContext, SourceTask
from ingest.environment import Environment

_ROWS = 100
_PATIENCE_S = 30
_STOP_S = 2.0  # the contract says one second; a loaded machine gets another


class Committed:
    """What a hub would hold: a step is in here with its positions, or not at all."""

    def __init__(self) -> None:
        self.positions: dict[str, Position] = {}
        self.records: list[Records] = []
        self.dead: list[DeadRecords] = []
        self._parts: list[Polled] = []

    def commit(self, polled: Polled) -> dict[str, Position | None] | None:
        """Takes a step as the hub's transaction does; positions go through JSON on the way.

        A part of a step that is open is held until its end. Returns the positions that were committed, None if none.
        """
        self._parts.append(polled)
        if polled.open:
            return None
        positions: dict[str, Position | None] = {}
        for part in self._parts:
            self.records += part.records
            self.dead += part.dead
            positions |= part.positions
        self._parts = []
        self._move(positions)
        return positions

    def abort(self) -> None:
        """A step that is open is lost with the task that made it."""
        self._parts = []

    def _move(self, positions: Mapping[str, Position | None]) -> None:
        for stream, position in positions.items():
            if position is None:
                self.positions.pop(stream, None)
            else:
                self.positions[stream] = json.loads(json.dumps(position))


class SourceContract(ABC):
    """Every source passes these. ``folder`` is a fresh folder of the test, where the outside system
    may live; rows are distinct short texts without spaces, quotes or line ends."""

    follows: ClassVar[bool] = True
    """Whether rows that appear while the source runs are read without a restart."""
    batch_bytes: ClassVar[int] = 1024
    """A bound that makes the source need several polls for 100 rows of 60 characters."""

    @abstractmethod
    def source(self, folder: Path) -> SourceConnector:
        """A connector that reads what ``fill`` has put there."""

    @abstractmethod
    def fill(self, folder: Path, rows: Sequence[str]) -> None:
        """Adds rows to the outside system, after those that are there. May be called with none, to make it."""

    def spoil(self, folder: Path) -> None:
        """Adds one record that the source itself must refuse."""
        pytest.skip("no `spoil`: this source refuses no record by itself")

    def text(self, value: Any) -> str:
        """The row inside a record's value."""
        if isinstance(value, dict):
            value = next(iter(value.values()))
        return value.decode() if isinstance(value, bytes) else str(value)

    # -- reading

    def test_reads_every_row_once_and_in_order(self, tmp_path: Path) -> None:
        self.fill(tmp_path, rows(_ROWS))
        assert self.texts(self.read(tmp_path, Committed())) == rows(_ROWS)

    def test_an_empty_input_ends_without_records(self, tmp_path: Path) -> None:
        self.fill(tmp_path, [])
        found = self.read(tmp_path, Committed())
        assert self.texts(found) == []
        assert not found.dead

    def test_a_second_run_finds_nothing_new(self, tmp_path: Path) -> None:
        self.fill(tmp_path, rows(_ROWS))
        found = self.read(tmp_path, Committed())
        assert self.texts(self.read(tmp_path, found)) == rows(_ROWS)

    def test_a_second_run_reads_only_what_was_added(self, tmp_path: Path) -> None:
        if not self.follows:
            pytest.skip("`follows` is false: this source reads its input once")
        self.fill(tmp_path, rows(10))
        found = self.read(tmp_path, Committed())
        self.fill(tmp_path, rows(30)[10:])
        assert self.texts(self.read(tmp_path, found)) == rows(30)

    def test_rows_that_appear_while_it_runs_are_read(self, tmp_path: Path) -> None:
        if not self.follows:
            pytest.skip("`follows` is false: this source reads its input once")
        self.fill(tmp_path, rows(10))
        found, deadline, added = Committed(), time.monotonic() + _PATIENCE_S, False
        with self.opened(tmp_path, found, until_caught_up=False) as task:
            while len(self.texts(found)) < 30 and time.monotonic() < deadline:
                polled = task.poll()
                if polled is not None:
                    found.commit(polled)
                if len(self.texts(found)) == 10 and not added:
                    added = True
                    self.fill(tmp_path, rows(30)[10:])
        assert self.texts(found) == rows(30)

    def test_several_tasks_share_the_work(self, tmp_path: Path) -> None:
        self.fill(tmp_path, rows(_ROWS))
        tasks = self.source(tmp_path).tasks(3)
        assert 1 <= len(tasks) <= 3
        assert sorted(self.texts(self.read(tmp_path, Committed(), tasks=tasks))) == rows(_ROWS)

    # -- what it hands over

    def test_batches_are_well_formed_and_move_the_position_of_their_stream(self, tmp_path: Path) -> None:
        self.fill(tmp_path, rows(_ROWS))
        steps = self.steps(tmp_path)
        for number, polled in enumerate(steps):
            moved = {stream for part in _rest_of_step(steps, number) for stream in part.positions}
            for records in polled.records:
                assert records.stream in moved
                for column in (records.key, records.timestamp, records.headers, records.positions):
                    assert column is None or len(column) == len(records)

    def test_a_small_bound_gives_several_batches(self, tmp_path: Path) -> None:
        self.fill(tmp_path, rows(_ROWS))
        assert len([polled for polled in self.steps(tmp_path) if polled.records]) > 1

    def test_positions_are_json(self, tmp_path: Path) -> None:
        self.fill(tmp_path, rows(_ROWS))
        for polled in self.steps(tmp_path):
            for position in polled.positions.values():
                assert position is None or json.loads(json.dumps(position)) == position

    # -- crashes

    def test_resumes_after_a_crash_between_poll_and_commit(self, tmp_path: Path) -> None:
        self.fill(tmp_path, rows(_ROWS))
        for step in self.some_steps(tmp_path):
            found = Committed()
            self.read_some(tmp_path, found, commits=step, lost=1, tell=True)
            assert self.texts(self.read(tmp_path, found)) == rows(_ROWS), f"lost the poll after commit {step}"

    def test_resumes_after_a_crash_between_commit_and_being_told(self, tmp_path: Path) -> None:
        self.fill(tmp_path, rows(_ROWS))
        for step in self.some_steps(tmp_path):
            found = Committed()
            self.read_some(tmp_path, found, commits=step, lost=0, tell=False)
            assert self.texts(self.read(tmp_path, found)) == rows(_ROWS), f"not told of commit {step}"

    def test_resumes_when_two_polls_were_lost(self, tmp_path: Path) -> None:
        self.fill(tmp_path, rows(_ROWS))
        found = Committed()
        self.read_some(tmp_path, found, commits=1, lost=2, tell=True)
        assert self.texts(self.read(tmp_path, found)) == rows(_ROWS)

    # -- stopping and failing

    def test_returns_from_poll_soon_when_stopped_while_blocked(self, tmp_path: Path) -> None:
        self.fill(tmp_path, rows(10))
        stopping, quiet = threading.Event(), threading.Event()
        thread = threading.Thread(target=self.poll_until, args=(tmp_path, stopping, quiet), daemon=True)
        thread.start()
        assert quiet.wait(_PATIENCE_S), "the source never became idle"
        stopping.set()
        thread.join(_STOP_S)
        assert not thread.is_alive(), "poll must return within a second of `context.stopping`"

    def test_close_does_not_mind_a_task_that_never_opened(self, tmp_path: Path) -> None:
        self.fill(tmp_path, [])
        for task in self.source(tmp_path).tasks(1):
            task.close()

    def test_a_refused_record_leaves_its_neighbours_alone(self, tmp_path: Path) -> None:
        self.fill(tmp_path, rows(10))
        self.spoil(tmp_path)
        self.fill(tmp_path, rows(20)[10:])
        found = self.read(tmp_path, Committed())
        assert self.texts(found) == rows(20)
        assert sum(len(dead.records) for dead in found.dead) == 1
        for dead in found.dead:
            assert len(dead.reasons) == len(dead.records)
            assert all(dead.reasons)
            assert dead.stage
            assert dead.error

    # -- how the suite plays the engine

    def texts(self, found: Committed) -> list[str]:
        """The rows committed so far, in order."""
        return [self.text(value) for records in found.records for value in records.value.to_pylist()]

    @contextmanager
    def opened(
        self,
        folder: Path,
        found: Committed,
        *,
        task: SourceTask | None = None,
        until_caught_up: bool = True,
        stopping: threading.Event | None = None,
    ) -> Iterator[SourceTask]:
        """A task that reads on after what ``found`` has, closed at the end."""
        task = task or self.source(folder).tasks(1)[0]
        context = SourceContext(
            name="contract",
            base_folder=folder,
            environment=Environment(),
            until_caught_up=until_caught_up,
            max_batch_bytes=self.batch_bytes,
            stopping=stopping or threading.Event(),
        )
        try:
            task.open(context, dict(found.positions))
            yield task
        finally:
            found.abort()
            task.close()

    def read(self, folder: Path, found: Committed, *, tasks: Sequence[SourceTask] = ()) -> Committed:
        """Runs the tasks to their end, one after the other, committing every step."""
        for each in tasks or self.source(folder).tasks(1):
            with self.opened(folder, found, task=each) as task:
                for polled in _polls(task):
                    positions = found.commit(polled)
                    if positions is not None:
                        task.committed(positions)
        return found

    def read_some(self, folder: Path, found: Committed, *, commits: int, lost: int, tell: bool) -> None:
        """Commits ``commits`` steps, polls ``lost`` more that no hub ever sees, then dies."""
        with self.opened(folder, found) as task:
            for step, polled in enumerate(_polls(task)):
                if step >= commits + lost:
                    return
                positions = found.commit(polled) if step < commits else None
                if positions is not None and tell:
                    task.committed(positions)

    def poll_until(self, folder: Path, stopping: threading.Event, quiet: threading.Event) -> None:
        """Runs as the engine does; ``quiet`` is set once a poll has brought nothing, or there is no more."""
        with self.opened(folder, Committed(), until_caught_up=False, stopping=stopping) as task:
            while not stopping.is_set():
                try:
                    if task.poll() is None:
                        quiet.set()
                except EndOfInput:
                    quiet.set()
                    return

    def steps(self, folder: Path) -> list[Polled]:
        """All steps of a run, none of them told."""
        with self.opened(folder, Committed()) as task:
            return list(_polls(task))

    def some_steps(self, folder: Path) -> list[int]:
        """Steps to crash at: all if they are few, else a spread that includes the first and the last."""
        total = len(self.steps(folder))
        assert total > 0, "nothing was polled"
        return sorted({round(total * part / 9) for part in range(10)})


def rows(count: int) -> list[str]:
    """The first ``count`` rows of every test."""
    return [f"row-{number:05}-" + "x" * 50 for number in range(count)]


def _rest_of_step(steps: Sequence[Polled], number: int) -> Iterator[Polled]:
    """From one part of a step to its last."""
    for polled in steps[number:]:
        yield polled
        if not polled.open:
            return


def _polls(task: SourceTask) -> Iterator[Polled]:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        try:
            polled = task.poll()
        except EndOfInput:
            return
        if polled is not None:
            yield polled
    pytest.fail(f"no EndOfInput within {_PATIENCE_S} s although `until_caught_up` is set")
