"""Steps that go on: many appends, one commit, and nothing visible before."""

from __future__ import annotations

import threading

import pyarrow as pa
import pytest

from ingest.config import Settings
from ingest.connectors import EndOfInput, Polled, Records, SourceConnector, SourceTask
from ingest.errors import ConnectorError, SystemUnavailable
from ingest.runtime.plan import Retry
from ingest.runtime.worker import Worker

NO_PAUSE = Retry(backoff_ms=1, max_backoff_ms=1)


class Table(SourceConnector):
    """A table of ``rows`` rows that is imported whole, two rows a poll, or not at all. Each opening is a generation."""

    Settings = Settings

    def __init__(self, rows=6, *, faults=(), endless=False, closes=True):
        self.rows, self.faults, self.endless, self.closes = rows, list(faults), endless, closes
        self.generation, self.told = 0, []
        self.polled = threading.Event()

    def tasks(self, most):
        return [TableTask(self)]


class TableTask(SourceTask):
    def __init__(self, table):
        self.table = table

    def open(self, context, positions):
        self.context, self.next = context, 0
        self.done = "table" in positions
        self.table.generation += 1

    def poll(self):
        table = self.table
        if self.done:
            raise EndOfInput
        if table.endless and self.next:
            table.polled.set()
            self.context.wait(20)
            return None
        if self.next and table.faults:
            raise table.faults.pop()
        texts = [f"{table.generation}:{number}" for number in range(self.next, self.next + 2)]
        self.next += 2
        self.done = self.next >= table.rows
        positions = {"table": {"generation": table.generation}} if self.done else {}
        records = Records(value=pa.array(texts), stream="table")
        return Polled([records], positions, open=not (self.done and table.closes))

    def committed(self, positions):
        self.table.told.append(dict(positions))

    def close(self):
        pass


def plan(world, table):
    return world.plan(world.System(), source={"connector": table, "retry": NO_PAUSE})


def test_the_parts_of_a_step_become_visible_together_and_the_source_is_told_once(world):
    table = Table()
    outcome = world.run(plan(world, table))
    assert (outcome.state, outcome.records) == ("done", 6)
    assert world.values("t") == [f"1:{number}".encode() for number in range(6)]
    assert table.told == [{"table": {"generation": 1}}]


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("name", ["source.polled", "source.transformed", "source.appended"])
def test_a_crash_within_a_step_leaves_nothing_and_the_next_generation_is_alone(world, name, count):
    table = Table()
    assert isinstance(world.run(plan(world, table), world.crash_at(name, count)).error, world.Crash)
    assert world.values("t") == []
    assert world.hub.positions("p/in") == {}
    assert world.run(plan(world, table)).state == "done"
    assert world.values("t") == [f"2:{number}".encode() for number in range(6)]


def test_a_crash_after_the_commit_does_not_import_again(world):
    table = Table()
    world.run(plan(world, table), world.crash_at("source.committed"))
    world.run(plan(world, table))
    assert world.values("t") == [f"1:{number}".encode() for number in range(6)]


def test_a_failure_that_passes_aborts_the_step_and_begins_anew(world):
    table = Table(faults=[SystemUnavailable("the server restarts")])
    outcome = world.run(plan(world, table))
    assert (outcome.state, outcome.records) == ("done", 6)
    assert world.values("t") == [f"2:{number}".encode() for number in range(6)]


def test_any_other_failure_aborts_the_step(world):
    table = Table(faults=[ConnectorError("the table is gone")])
    assert world.run(plan(world, table)).state == "failed"
    assert world.values("t") == []
    assert world.hub.positions("p/in") == {}


def test_a_stop_aborts_the_step(world):
    table = Table(endless=True)
    worker = Worker(world.hub, plan(world, table))
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    assert table.polled.wait(20)
    worker.stop()
    thread.join(20)
    assert not thread.is_alive()
    assert world.values("t") == []
    assert world.hub.positions("p/in") == {}


def test_a_source_that_ends_within_a_step_has_failed(world):
    outcome = world.run(plan(world, Table(closes=False)))
    assert "ended in the middle of a step" in str(outcome.error)
    assert world.values("t") == []
