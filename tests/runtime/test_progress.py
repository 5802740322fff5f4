"""Counters and rates."""

from __future__ import annotations

import json

from ingest.runtime.progress import Progress, Settled


def test_rates_are_those_of_the_last_ten_seconds(clock):
    progress = Progress(clock)
    progress.moved(1_000_000, 5)
    clock.ms += 20_000
    for _ in range(10):
        progress.moved(100, 1000)
        clock.ms += 900
    assert progress.rates() == (100.0, 1000.0)


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
    progress.moved(6, 60)
    progress.committed(Settled(records=3, written=1, filtered=1, dead_letters=1, size_bytes=30))
    status = json.loads(json.dumps(progress.as_status()))
    counted = [status[name] for name in ("records", "written", "filtered", "dead_letters", "pending", "bytes")]
    assert counted == [3, 1, 1, 1, 0, 30]
    assert status["lag"] is None
    assert status["last_commit_ms"] == clock.ms


def test_lag_is_told_in_the_unit_of_whoever_lags(clock):
    source, sink = Progress(clock), Progress(clock)
    source.source_lag = {"bytes": 700}
    sink.lag_records, sink.lag_ms = 7, 30
    assert source.as_status()["lag"] == {"bytes": 700}
    assert sink.as_status()["lag"] == {"records": 7, "ms": 30}
