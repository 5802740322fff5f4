"""What a run says of itself adds up: each record is counted once, as what became of it."""

from __future__ import annotations

import threading
from dataclasses import replace

import pyarrow as pa
import pytest

from ingest.errors import ConnectorError, SystemUnavailable
from ingest.runtime.plan import Retry, TopicPlan
from ingest.runtime.worker import Worker

AGAIN = Retry(budget=50, backoff_ms=1, max_backoff_ms=1)
ROWS = ["a", "!b", "-c", "d", "e", "-f", "!g", "h", "i", "j", "k", "l"]
"""``Upper`` refuses what begins with ``!``, and leaves out what begins with ``-``."""


def run(world, plan, **settings):
    worker = Worker(world.hub, plan, until_caught_up=True, **settings)
    outcome = worker.run()
    numbers = {}
    for task in worker.status()["tasks"]:
        kinds = ("records", "written", "filtered", "dead_letters", "pending")
        numbers[task["task"]] = tuple(task[kind] for kind in kinds)
        assert task["records"] == task["written"] + task["filtered"] + task["dead_letters"]
    return outcome, numbers


def test_each_row_of_a_source_is_written_filtered_or_dead(world):
    system = world.System(ROWS, refuse={3, 9})
    outcome, numbers = run(world, world.plan(system, source={"transforms": [world.Upper()]}))
    assert numbers == {"source in": (12, 6, 2, 4, 0)}
    assert (outcome.records, outcome.dead_letters) == (12, 4)
    assert len(world.values("t")) == 6
    assert len(world.dead()) == 4


def test_each_record_of_a_sink_is_written_filtered_or_dead(world):
    target = world.Target(refuse=lambda value: value in ("D", "K"))
    plan = world.plan(world.System(ROWS), target, sink={"transforms": [world.Upper()]})
    _, numbers = run(world, plan)
    assert numbers == {"source in": (12, 12, 0, 0, 0), "sink out": (12, 6, 2, 4, 0)}
    assert len(target.rows) == 6
    assert len(world.dead()) == 4


def test_rows_inside_records_are_counted_as_rows(world):
    rows = [{"n": number} for number in range(12)]
    target = world.Target(refuse=lambda value: value == {"n": 5})
    plan = world.plan(world.System(rows), target, topics={"t": TopicPlan(format="arrow")})
    _, numbers = run(world, plan)
    assert numbers == {"source in": (12, 12, 0, 0, 0), "sink out": (12, 11, 0, 1, 0)}


def test_records_that_cannot_be_decoded_are_counted(world):
    world.hub.create_topic("t")
    system = world.System([b"{1", b'{"n": 1}', b"]"], value_type=pa.binary())
    world.run(world.plan(system, source={"topic": "t"}, topics={"t": TopicPlan(format="json")}))
    target = world.Target()
    _, numbers = run(world, world.plan(None, target))
    assert numbers == {"sink out": (3, 1, 0, 2, 0)}


@pytest.mark.parametrize("step", ["put", "flush", "flushed"])
@pytest.mark.parametrize("commit_every", [1, 3, 1000])
def test_what_a_sink_tries_again_counts_once(world, step, commit_every):
    target = world.Target(
        commit_every=commit_every,
        refuse=lambda value: value == "D",
        faults={step: [SystemUnavailable("busy"), SystemUnavailable("busy")]},
    )
    plan = world.plan(world.System(ROWS), target, sink={"transforms": [world.Upper()], "retry": AGAIN})
    outcome, numbers = run(world, plan)
    assert outcome.state == "done"
    assert target.opened >= 2, "it was tried again"
    assert numbers["sink out"] == (12, 7, 2, 3, 0)
    assert (len(target.rows), len(world.dead())) == (7, 3)


def test_a_commit_whose_dead_letters_could_not_be_written_at_first_counts_once(world, monkeypatch):
    from ingest.runtime.sink_dead_letters import SinkDeadLetters

    settle, failures = SinkDeadLetters.settle, [SystemUnavailable("the hub is busy")]

    def fails_once(self, commit):
        if commit.dead and failures:
            raise failures.pop()
        settle(self, commit)

    monkeypatch.setattr(SinkDeadLetters, "settle", fails_once)
    target = world.Target(refuse=lambda value: value == "d")
    _, numbers = run(world, world.plan(world.System(ROWS), target, sink={"retry": AGAIN}))
    assert not failures
    assert numbers["sink out"] == (12, 11, 0, 1, 0)
    assert len(world.dead()) == 1


def test_what_a_source_tries_again_counts_once(world):
    faults = {number: [SystemUnavailable("busy")] for number in range(12)}
    system = world.System(ROWS, per_poll=2, refuse={3}, faults=faults)
    plan = world.plan(system, source={"transforms": [world.Upper()], "retry": AGAIN})
    _, numbers = run(world, plan)
    assert len(system.opened) > 4
    assert numbers["source in"] == (12, 7, 2, 3, 0)


def test_a_commit_that_was_on_its_way_when_the_source_failed_counts(world):
    large = ["x" * 200_000 for _ in range(6)]
    system = world.System(large, per_poll=3, faults={3: [SystemUnavailable("busy")]})
    _, numbers = run(world, world.plan(system, source={"retry": AGAIN}))
    assert system.opened == [0, 3], "the batch of the first attempt was committed after its failure"
    assert numbers["source in"] == (6, 6, 0, 0, 0)


def test_a_run_that_fails_counts_what_was_committed_before(world):
    system = world.System(ROWS, faults={9: [ConnectorError("gone")]})
    _, numbers = run(world, world.plan(system))
    assert numbers["source in"] == (9, 9, 0, 0, 0)


def test_numbers_begin_anew_with_each_run(world):
    target = world.Target()
    plan = world.plan(world.System(ROWS), target)
    run(world, plan)
    _, numbers = run(world, replace(plan))
    assert numbers == {"source in": (0, 0, 0, 0, 0), "sink out": (0, 0, 0, 0, 0)}


def test_what_is_not_committed_is_pending(world):
    target = world.Target(commit_every=1000)
    worker = Worker(world.hub, world.plan(world.System(ROWS), target))
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    sink = worker.tasks[-1].progress
    never = threading.Event()
    for _ in range(2_000):
        if sink.pending == 12:
            break
        never.wait(0.01)
    assert (sink.pending, sink.records) == (12, 0)
    worker.stop()
    thread.join(20)
    assert (sink.pending, sink.records, sink.written) == (0, 12, 12)
