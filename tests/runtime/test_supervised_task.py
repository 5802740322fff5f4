"""A task in its thread: states, retries, pause, stop."""

from __future__ import annotations

import threading

import pytest

from ingest.environment import Environment
from ingest.errors import (
    BudgetExhausted,
    ConnectorError,
    StorageDenied,
    StorageFull,
    SystemUnavailable,
)
from ingest.runtime.plan import Retry
from ingest.runtime.progress import Progress, Settled
from ingest.runtime.supervised_task import SupervisedTask

PATIENCE_MS = 10_000


def supervised(run, clock=None, *, waits_for_room=True, **retry):
    environment = Environment(clock=clock) if clock else Environment()
    lines = []
    task = SupervisedTask(
        "source x",
        run,
        Retry(**retry),
        Progress(environment.clock),
        environment,
        threading.Event(),
        lines.append,
        waits_for_room=waits_for_room,
    )
    task.lines = lines
    return task


def finished(task):
    task.start()
    assert task.join(PATIENCE_MS)
    return task


def test_a_task_that_ends_is_done():
    assert finished(supervised(lambda stop: "done")).state == "done"


def test_a_retriable_failure_is_tried_again_after_a_pause(clock):
    attempts = []

    def run(stop):
        attempts.append(1)
        if len(attempts) < 4:
            raise SystemUnavailable("busy")
        return "done"

    task = finished(supervised(run, clock, budget=5, backoff_ms=100))
    assert task.state == "done"
    assert task.progress.retries == 3
    assert task.progress.last_error == "busy"
    assert len(clock.waits) == 3
    assert all("busy" in line for line in task.lines)


def test_too_many_failures_end_it_with_the_last_one_as_the_cause(clock):
    task = finished(supervised(failing(SystemUnavailable("busy")), clock, budget=2))
    assert task.state == "failed"
    assert isinstance(task.error, BudgetExhausted)
    assert task.error.message == "it failed too often, the last time with: busy"
    assert str(task.error.__cause__) == "busy"
    assert task.progress.retries == 2


@pytest.mark.parametrize("error", [ConnectorError("bad"), ValueError("bad"), KeyboardInterrupt("bad")])
def test_any_other_failure_ends_it_at_once(clock, error):
    task = finished(supervised(failing(error), clock))
    assert task.state == "failed"
    assert task.error is error
    assert task.progress.last_error == "bad"


def test_what_somebody_must_change_first_is_not_tried_again(clock):
    error = StorageDenied("cannot write /lake: Permission denied", hint="give the right")
    task = finished(supervised(failing(error), clock))
    assert (task.state, task.error, clock.waits) == ("failed", error, [])


def test_a_full_disk_is_waited_out_however_long_and_costs_no_budget(clock):
    attempts = []

    def run(stop):
        attempts.append(1)
        if len(attempts) <= 100:
            raise StorageFull("no space")
        if len(attempts) <= 102:
            raise SystemUnavailable("busy")
        return "done"

    task = finished(supervised(run, clock, budget=2, backoff_ms=200, max_backoff_ms=30_000))
    assert (task.state, task.progress.retries) == ("done", 102)
    assert sum(clock.waits) > 20 * 60_000
    assert max(clock.waits) <= 30_000


def test_a_run_that_is_to_end_gives_a_full_disk_up_after_a_few_tries(clock):
    error = StorageFull("cannot write /lake/x: No space left on device", hint="make room", path="/lake/x")
    task = finished(supervised(failing(error), clock, waits_for_room=False))
    assert (task.state, task.error) == ("failed", error)
    assert len(clock.waits) == 3
    assert sum(clock.waits) <= 2_000


def test_a_full_disk_that_lets_something_through_now_and_then_is_not_given_up(clock):
    attempts = []

    def run(stop):
        attempts.append(1)
        task.progress.committed(Settled(records=1, written=1))
        if len(attempts) < 30:
            raise StorageFull("no space")
        return "done"

    task = supervised(run, clock, waits_for_room=False)
    assert finished(task).state == "done"


def test_stop_interrupts_the_run():
    task = supervised(until_interrupted)
    task.start()
    task.request_stop()
    assert task.join(PATIENCE_MS)
    assert task.state == "stopped"


def test_stop_interrupts_the_pause_after_a_failure():
    failed = threading.Event()

    def run(stop):
        failed.set()
        raise SystemUnavailable("busy")

    task = supervised(run, backoff_ms=3_600_000, max_backoff_ms=3_600_000)
    task.start()
    assert failed.wait(10)
    task.request_stop()
    assert task.join(PATIENCE_MS)
    assert task.state == "stopped"


def test_a_task_stopped_before_it_starts_never_runs():
    task = supervised(failing(AssertionError("ran")))
    task.request_stop()
    assert finished(task).state == "stopped"


def test_pause_ends_the_run_and_resume_begins_another():
    running, runs = threading.Semaphore(0), []

    def run(stop):
        runs.append(1)
        running.release()
        return until_interrupted(stop)

    task = supervised(run)
    changed = task._changed
    task.start()
    assert running.acquire(timeout=10)
    task.pause()
    while task.state != "paused":
        assert changed.wait(10)
        changed.clear()
    assert len(runs) == 1
    task.resume()
    assert running.acquire(timeout=10)
    task.request_stop()
    assert task.join(PATIENCE_MS)
    assert (task.state, len(runs)) == ("stopped", 2)


def test_a_paused_task_can_be_stopped():
    task = supervised(until_interrupted)
    task.pause()
    task.start()
    while task.state != "paused":
        assert task._changed.wait(10)
        task._changed.clear()
    task.request_stop()
    assert task.join(PATIENCE_MS)
    assert task.state == "stopped"


def test_progress_between_failures_keeps_the_pauses_short(clock):
    def run(stop):
        task.progress.committed(Settled(records=1, written=1))
        raise SystemUnavailable("busy")

    task = supervised(run, clock, budget=6, backoff_ms=100, max_backoff_ms=100_000)
    finished(task)
    assert max(clock.waits) <= 100


def failing(error):
    def run(stop):
        raise error

    return run


def until_interrupted(stop):
    assert stop.wait(10)
    return "stopped"
