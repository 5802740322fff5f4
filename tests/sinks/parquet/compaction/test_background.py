"""Compaction inside a run of the sink."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from compacting import hidden, ids
from lake import Lake, ManualClock, numbers, sink_context

from ingest.environment import Environment
from ingest.errors import OutputDamaged
from ingest.sinks.lake.reading import check_table, open_dataset
from ingest.sinks.parquet.compaction.background import BackgroundCompaction
from ingest.sinks.parquet.compaction.compactor import Result
from ingest.sinks.parquet.settings import ParquetSettings
from ingest.sinks.parquet.task import ParquetTask


class SteppedClock(ManualClock):
    """A wait ends when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = threading.Semaphore(0)
        self.waits = threading.Semaphore(0)

    def wait(self, event: threading.Event, timeout_ms: int) -> bool:
        self.waits.release()
        while not event.is_set():
            if self.steps.acquire(timeout=0.01):
                return False
        return True

    def let_it_run(self) -> None:
        """One round, from its beginning to its end."""
        self.steps.release()
        assert self.waits.acquire(timeout=20)


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


def opened(lake: Lake, clock: SteppedClock, told: list[str], **compact: Any) -> ParquetTask:
    task = ParquetTask(ParquetSettings(url="lake", compact={"min_files": 2, **compact}))
    context = sink_context(lake.folder, environment=Environment(clock=clock, fail=lake.fail))
    task.open(replace(context, report=told.append))
    assert clock.waits.acquire(timeout=20)
    return task


def test_small_files_are_merged_while_the_sink_goes_on(tmp_path: Path, clock: SteppedClock) -> None:
    lake, told = Lake(tmp_path), list[str]()
    task = opened(lake, clock, told)
    for start in range(0, 60, 10):
        lake.write(task, start, numbers(start, start + 10))
        if start % 20:
            clock.let_it_run()
    assert ids(lake) == list(range(60))
    assert len(lake.files()) < 6
    task.close()
    assert told == []
    assert check_table("lake", tmp_path, repair=False) == []
    assert open_dataset("lake", tmp_path).count_rows() == 60


def test_a_large_file_is_not_rewritten_for_each_small_one(tmp_path: Path, clock: SteppedClock) -> None:
    lake = Lake(tmp_path)
    task = opened(lake, clock, [])
    start = 0
    for rows in (20_000, 10, 10):
        lake.write(task, start, numbers(start, start + rows))
        start += rows
    large = lake.files()[0]
    clock.let_it_run()
    assert lake.files()[0] == large
    assert len(lake.files()) == 2
    task.close()


def test_a_damaged_file_is_told_once_and_the_sink_goes_on(tmp_path: Path, clock: SteppedClock) -> None:
    lake, told = Lake(tmp_path), list[str]()
    task = opened(lake, clock, told)
    for start in (0, 10):
        lake.write(task, start, numbers(start, start + 10))
    victim = lake.files()[0]
    victim.write_bytes(victim.read_bytes()[:-9] + b"x" * 9)
    clock.let_it_run()
    clock.let_it_run()
    assert len(told) == 1
    assert str(victim) in told[0]
    lake.write(task, 20, numbers(20, 30))
    task.close()
    assert hidden(lake) == []


def test_a_sink_without_the_setting_merges_nothing(tmp_path: Path) -> None:
    task = ParquetTask(ParquetSettings(url="lake"))
    before = threading.active_count()
    task.open(sink_context(tmp_path))
    assert threading.active_count() == before
    task.close()


def test_whatever_goes_wrong_is_told_and_tried_again(clock: SteppedClock) -> None:
    told: list[str] = []
    results: list[Exception | None] = [OSError("the disk is full"), None, OutputDamaged("a file is gone")]

    def run() -> Result:
        error = results.pop(0)
        if error is not None:
            raise error
        return Result()

    background = BackgroundCompaction(lambda stopping: run, 1000, clock, told.append)
    background.start()
    assert clock.waits.acquire(timeout=20)
    for _ in range(3):
        clock.let_it_run()
    background.stop()
    assert told == ["compaction: the disk is full", "compaction: a file is gone"]
