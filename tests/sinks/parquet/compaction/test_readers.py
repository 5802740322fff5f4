"""Readers that know nothing of manifests, and one that does, while files are merged under their hands."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from compacting import FAIL_POINTS, compact, hidden, ids
from lake import Lake

from ingest.sinks.lake.reading import check_table, open_dataset


def by_duckdb(root: Path) -> tuple[int, int]:
    with duckdb.connect() as connection:
        ((rows, different),) = connection.sql(
            f"SELECT count(*), count(DISTINCT id) FROM '{root}/**/*.parquet'"
        ).fetchall()
    return rows, different


def by_pyarrow(root: Path) -> tuple[int, int]:
    numbers = ds.dataset(root, format="parquet").to_table(columns=["id"])["id"].to_pylist()
    return len(numbers), len(set(numbers))


def by_manifest(root: Path) -> tuple[int, int]:
    numbers = open_dataset(str(root), root).to_table(columns=["id"])["id"].to_pylist()
    return len(numbers), len(set(numbers))


@contextmanager
def looking(look: Callable[[Path], tuple[int, int]], root: Path, seen: list[tuple[int, int]]) -> Iterator[None]:
    """Looks again and again; a file that went away between listing and reading is a reason to look again."""
    done = threading.Event()
    failed: list[Exception] = []

    def loop() -> None:
        while not done.is_set():
            try:
                seen.append(look(root))
            except (duckdb.IOException, FileNotFoundError):
                continue
            except Exception as error:
                failed.append(error)
                return

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    assert failed == []


def values(start: int, end: int) -> pa.Array:
    return pa.array([{"id": number, "part": number % 3} for number in range(start, end)])


@pytest.mark.parametrize("look", [by_duckdb, by_pyarrow, by_manifest])
def test_no_row_is_seen_twice_while_files_are_merged(tmp_path: Path, look: Callable[[Path], tuple[int, int]]) -> None:
    lake = Lake(tmp_path, {"partition_by": ["part"]})
    task = lake.open()
    lake.write(task, 0, values(0, 30))
    seen: list[tuple[int, int]] = []
    with looking(look, lake.root, seen):
        for start in range(30, 600, 30):
            lake.write(task, start, values(start, start + 30))
            if start % 60:
                compact(lake)
    assert seen
    assert [pair for pair in seen if pair[0] != pair[1]] == []
    assert look(lake.root) == (600, 600)
    if look is by_manifest:
        assert [rows for rows, _ in seen] == sorted(rows for rows, _ in seen)
        assert all(rows % 30 == 0 for rows, _ in seen)


@pytest.mark.slow
def test_no_row_is_seen_twice_while_the_process_that_merges_is_killed(tmp_path: Path) -> None:
    lake = Lake(tmp_path, {"partition_by": ["part"]})
    task = lake.open()
    lake.write(task, 0, values(0, 30))
    dice = random.Random(1)
    seen: list[tuple[int, int]] = []
    deaths: dict[str, int] = {}
    start = 30
    with looking(by_duckdb, lake.root, seen), looking(by_manifest, lake.root, seen):
        for point in [*FAIL_POINTS, *FAIL_POINTS]:
            for _ in range(2):
                lake.write(task, start, values(start, start + 30))
                start += 30
            command = [sys.executable, "-m", "ingest", "compact", str(lake.root), "--grace", dice.choice(["0s", "1h"])]
            killed = {**os.environ, "INGEST_FAILPOINTS": f"{point}*{dice.choice([1, 2])}"}
            done = subprocess.run(command, env=killed, capture_output=True, check=False)
            assert done.returncode in (0, -9), done.stderr
            deaths[point] = deaths.get(point, 0) + (done.returncode == -9)
    assert {point for point, count in deaths.items() if not count} <= {"compact.vacuum.file", "compact.strays.removed"}
    assert [pair for pair in seen if pair[0] != pair[1]] == []
    lake.clock.wall_ms *= 2
    compact(lake, grace_ms=0)
    assert sorted(ids(lake)) == list(range(start))
    assert hidden(lake) == []
    assert check_table("lake", tmp_path, repair=False) == []
