"""Counters and rates."""

from __future__ import annotations

import json

from ingest.runtime.progress import Progress


def test_rates_are_those_of_the_last_ten_seconds(clock):
    progress = Progress(clock)
    progress.moved(1_000_000, 5)
    clock.ms += 20_000
    for _ in range(10):
        progress.moved(100, 1000)
        clock.ms += 900
    assert progress.rates() == (100.0, 1000.0)
    assert progress.records == 1_001_000


def test_rates_fall_to_zero_when_nothing_moves(clock):
    progress = Progress(clock)
    progress.moved(100, 1000)
    clock.ms += 11_000
    assert progress.rates() == (0.0, 0.0)


def test_rates_of_a_young_task_are_not_spread_over_ten_seconds(clock):
    progress = Progress(clock)
    clock.ms += 1000
    progress.moved(500, 5000)
    assert progress.rates() == (500.0, 5000.0)


def test_a_million_batches_take_no_more_memory_than_the_window(clock):
    progress = Progress(clock)
    for _ in range(100_000):
        progress.moved(1, 1)
        clock.ms += 1
    assert len(progress._recent) <= 41
    assert 900 <= progress.rates()[0] <= 1000


def test_status_is_json(clock):
    progress = Progress(clock)
    progress.moved(3, 30)
    progress.committed(dead_letters=1)
    status = json.loads(json.dumps(progress.as_status()))
    assert status["records"] == 3
    assert status["dead_letters"] == 1
    assert status["last_commit_ms"] == clock.ms
