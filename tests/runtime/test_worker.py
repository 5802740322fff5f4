"""The whole pipeline in one process: start, drain, stop, fail, look."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest

from ingest.errors import ConnectorError, UsageError
from ingest.runtime.plan import SinkPlan
from ingest.runtime.status_file import read_status
from ingest.runtime.worker import Worker

PATIENCE_S = 20


def texts(count):
    return [f"row {number}" for number in range(count)]


@pytest.fixture
def started(world):
    """Runs a worker in a thread; what is left over is stopped at the end."""
    running = []

    def start(plan, **settings):
        worker = Worker(world.hub, plan, **settings)
        outcome = []
        thread = threading.Thread(target=lambda: outcome.append(worker.run()), daemon=True)
        thread.start()
        worker.thread, worker.outcome = thread, outcome
        running.append(worker)
        return worker

    yield start
    for worker in running:
        worker.stop()
        worker.thread.join(PATIENCE_S)
        assert not worker.thread.is_alive()


def ended(worker):
    worker.thread.join(PATIENCE_S)
    (outcome,) = worker.outcome
    return outcome


def eventually(condition):
    never = threading.Event()
    for _ in range(PATIENCE_S * 100):
        if condition():
            return
        never.wait(0.01)
    raise AssertionError("it never happened")


def test_until_caught_up_everything_is_in_the_target(world):
    system, target = world.System(texts(100)), world.Target(commit_every=1000)
    outcome = world.run(world.plan(system, target))
    assert (outcome.state, outcome.exit_code, outcome.records) == ("done", 0, 100)
    assert target.rows == texts(100)


def test_a_pipeline_runs_until_it_is_stopped_and_commits_what_is_pending(world, started):
    system, target = world.System(texts(10)), world.Target(commit_every=1000)
    worker = started(world.plan(system, target))
    eventually(lambda: len(target.deliveries) and target.deliveries[-1][3] >= 10)
    assert target.rows == []
    worker.stop()
    outcome = ended(worker)
    assert (outcome.state, outcome.exit_code) == ("stopped", 0)
    assert target.rows == texts(10)


def test_rows_that_come_later_are_carried_through(world, started):
    system, target = world.System(texts(10)), world.Target()
    started(world.plan(system, target))
    eventually(lambda: len(target.rows) == 10)
    system.rows += ["late"]
    eventually(lambda: target.rows == [*texts(10), "late"])


def test_a_topic_that_appears_later_is_taken_up(world, started):
    target = world.Target()
    started(world.plan(None, target, sink={"topics": ["log.*"]}))
    eventually(lambda: target.opened)
    world.run(world.plan(world.System(["new"]), pipeline="q", source={"topic": "log.new"}))
    eventually(lambda: target.rows == ["new"])


def test_one_failed_task_stops_the_others_cleanly(world):
    system = world.System(texts(10), faults={9: [ConnectorError("the table is gone")]})
    target = world.Target(commit_every=1000)
    outcome = Worker(world.hub, world.plan(system, target)).run()
    assert (outcome.state, outcome.exit_code, outcome.task) == ("failed", 1, "source in")
    assert str(outcome.error) == "the table is gone"
    assert (system.closed, target.closed) == (1, target.opened)
    world.run(world.plan(system, target))
    assert target.rows == texts(10)


def test_a_failing_sink_stops_its_source(world):
    system, target = world.System(texts(10)), world.Target(faults={"put": [ConnectorError("no such table")]})
    outcome = Worker(world.hub, world.plan(system, target)).run()
    assert (outcome.state, outcome.task) == ("failed", "sink out")
    assert system.closed == 1


def test_a_task_that_does_not_stop_is_told_by_name(world, started):
    release, blocked = threading.Event(), threading.Event()

    class StubbornSource(world.SystemSource):
        def tasks(self, most):
            (task,) = super().tasks(most)
            task.poll = self.poll
            return [task]

        def poll(self):
            blocked.set()
            release.wait(PATIENCE_S)

    worker = started(world.plan(world.System([]), source={"connector": StubbornSource(world.System([]))}))
    assert blocked.wait(PATIENCE_S)
    worker.stop(timeout_ms=50)
    outcome = ended(worker)
    release.set()
    assert (outcome.state, outcome.exit_code) == ("failed", 1)
    assert "source in did not stop in time" in str(outcome.error)
    assert worker.tasks[0].join(10_000)


def test_a_paused_task_rests_and_goes_on_where_it_stood(world, started):
    system, target = world.System(texts(5)), world.Target()
    worker = started(world.plan(system, target))
    eventually(lambda: len(target.rows) == 5)
    worker.pause("source in")
    eventually(lambda: worker.tasks[0].state == "paused")
    system.rows += ["while paused"]
    opened = list(system.opened)
    worker.resume("source in")
    eventually(lambda: target.rows == [*texts(5), "while paused"])
    assert system.opened == [*opened, 5]


def test_an_unknown_task_is_an_error_that_lists_the_known(world):
    worker = Worker(world.hub, world.plan(world.System([]), world.Target()))
    with pytest.raises(UsageError, match="source in, sink out"):
        worker.pause("lake")


def test_the_status_file_tells_how_it_ended(world, tmp_path):
    plan = world.plan(world.System(texts(7)), world.Target())
    Worker(world.hub, plan, until_caught_up=True, status_folder=tmp_path).run()
    status = read_status(tmp_path, "p")
    assert status == json.loads(json.dumps(status))
    assert (status["pipeline"], status["state"]) == ("p", "done")
    numbers = {task["task"]: (task["state"], task["records"]) for task in status["tasks"]}
    assert numbers == {"source in": ("done", 7), "sink out": ("done", 7)}


def test_the_last_commit_is_known_after_a_restart(world, tmp_path):
    plan = world.plan(world.System(texts(7)), world.Target())
    Worker(world.hub, plan, until_caught_up=True, status_folder=tmp_path).run()
    before = {task["task"]: task["last_commit_ms"] for task in read_status(tmp_path, "p")["tasks"]}
    assert all(before.values())
    Worker(world.hub, plan, until_caught_up=True, status_folder=tmp_path).run()
    again = {task["task"]: (task["last_commit_ms"], task["commits"]) for task in read_status(tmp_path, "p")["tasks"]}
    assert again == {name: (time_ms, 0) for name, time_ms in before.items()}


def test_a_failure_is_in_the_status(world, tmp_path):
    plan = world.plan(world.System(texts(7), faults={0: [ConnectorError("no such file")]}))
    Worker(world.hub, plan, until_caught_up=True, status_folder=tmp_path).run()
    (task,) = read_status(tmp_path, "p")["tasks"]
    assert (task["state"], task["last_error"]) == ("failed", "no such file")


def test_a_sink_of_the_dead_letters_gets_those_of_the_other_sinks_in_the_same_run(world):
    letters, target = world.Target(), world.Target(commit_every=1000, refuse=lambda value: value == "row 3")
    plan = world.plan(world.System(texts(5)), target)
    reads_letters = SinkPlan("letters", world.TargetSink(letters), ["p.dead"])
    assert world.run(replace(plan, sinks=[reads_letters, *plan.sinks])).state == "done"
    assert letters.rows == [b"row 3"]


def test_a_pipeline_of_nothing_is_done_at_once(world):
    assert Worker(world.hub, world.plan()).run().state == "done"


def test_two_pipelines_share_a_hub(world):
    first = world.plan(world.System(texts(5)), world.Target())
    target = world.Target()
    second = world.plan(world.System(["x"]), target, pipeline="q", source={"topic": "u"}, sink={"topics": ["u"]})
    workers = [Worker(world.hub, plan, until_caught_up=True) for plan in (first, second)]
    threads = [threading.Thread(target=worker.run) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert target.rows == ["x"]
    assert first.sinks[0].connector.target.rows == texts(5)
