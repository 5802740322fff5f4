"""How long a failed task pauses, and when it gives up."""

from __future__ import annotations

import random

from ingest.runtime.plan import Retry
from ingest.runtime.retry_budget import RetryBudget


def budget(clock, **settings):
    return RetryBudget(Retry(**settings), clock, random.Random(1))


def test_pauses_double_up_to_the_longest(clock):
    tried = budget(clock, budget=10, backoff_ms=100, max_backoff_ms=1000)
    pauses = [tried.failed() for _ in range(7)]
    for pause, full in zip(pauses, [100, 200, 400, 800, 1000, 1000, 1000], strict=True):
        assert full // 2 <= pause <= full


def test_pauses_differ_between_tasks_that_failed_together(clock):
    dice = random.Random(7)
    settings = Retry(backoff_ms=1000)
    assert len({RetryBudget(settings, clock, dice).failed() for _ in range(10)}) > 5


def test_one_failure_more_than_the_budget_is_too_many(clock):
    tried = budget(clock, budget=2)
    assert tried.failed() is not None
    assert tried.failed() is not None
    assert tried.failed() is None


def test_a_budget_of_none_allows_no_failure(clock):
    assert budget(clock, budget=0).failed() is None


def test_failures_outside_of_the_window_do_not_count(clock):
    tried = budget(clock, budget=1, window_ms=1000)
    assert tried.failed() is not None
    clock.ms += 1001
    assert tried.failed() is not None
    clock.ms += 10
    assert tried.failed() is None


def test_a_success_makes_the_next_pause_short_but_does_not_refill_the_budget(clock):
    tried = budget(clock, budget=3, backoff_ms=100, max_backoff_ms=10_000)
    tried.failed()
    tried.failed()
    tried.succeeded()
    assert tried.failed() <= 100
    assert tried.failed() is None


def test_a_thousand_failures_in_a_row_do_not_overflow_the_pause(clock):
    tried = budget(clock, budget=2000, max_backoff_ms=30_000)
    assert max(tried.failed() for _ in range(1000)) <= 30_000
