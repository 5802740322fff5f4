"""Calls that are left behind when they take too long."""

from __future__ import annotations

import threading

import pytest

from ingest.deadline import Deadline, TimeLost


def test_a_result_and_an_error_come_through() -> None:
    deadline = Deadline()
    assert deadline.call(10, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        deadline.call(10, lambda: 1 // 0)


def test_a_time_out_of_the_function_is_its_own() -> None:
    def impatient() -> None:
        raise TimeoutError("the function's")

    with pytest.raises(TimeoutError, match="the function's"):
        Deadline().call(10, impatient)


def test_a_call_that_hangs_is_left_behind_and_the_next_one_is_made() -> None:
    deadline, end = Deadline(), threading.Event()
    with pytest.raises(TimeLost):
        deadline.call(0.05, end.wait)
    assert deadline.call(10, lambda: 7) == 7
    end.set()


def test_as_many_calls_as_allowed_run_side_by_side() -> None:
    deadline, together = Deadline(3), threading.Barrier(3, timeout=10)
    calls = [deadline.start(together.wait) for _ in range(3)]
    assert sorted(deadline.wait(10, call) for call in calls) == [0, 1, 2]


def test_its_threads_end_with_it() -> None:
    before = set(threading.enumerate())
    deadline = Deadline(2)
    deadline.call(10, lambda: None)
    threads = set(threading.enumerate()) - before
    assert threads
    del deadline
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
