"""Readers that know nothing of manifests, while the sink commits."""

from __future__ import annotations

import glob
import threading
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from lake import Lake, numbers

from ingest.connectors.testing import Crash


def test_who_globs_during_commits_sees_no_row_twice_and_no_half_file(tmp_path: Path) -> None:
    lake = Lake(tmp_path, {"partition_by": ["part"]})
    done = threading.Event()
    looks: list[int] = []
    wrong: list[str] = []

    def look() -> None:
        while not done.is_set():
            seen: list[int] = []
            for file in glob.glob(f"{lake.root}/**/*.parquet", recursive=True):
                seen += pq.ParquetFile(file).read()["id"].to_pylist()
            looks.append(len(seen))
            if len(seen) != len(set(seen)):
                wrong.append(f"{len(seen)} rows, {len(set(seen))} of them different")

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for epoch in range(1, 9):
            task = lake.open(epoch=epoch)
            start = next(iter(task.standing.last.offsets.values())) if task.standing.last else 0
            lake.fail.arm("lake.publish.file", crash)
            with pytest.raises(Crash):
                for at in range(start, start + 40, 20):
                    values = numbers(at, at + 20).to_pylist()
                    lake.write(task, at, [value | {"part": value["id"] % 3} for value in values])
    finally:
        done.set()
        reader.join()
    lake.open(epoch=99)
    assert not wrong
    assert looks
    assert sorted(row["id"] for row in lake.rows()) == list(range(8 * 20))


def test_duckdb_sees_a_commit_that_was_cut_off_in_parts_and_then_whole(tmp_path: Path) -> None:
    lake = Lake(tmp_path, {"partition_by": ["part"]})
    lake.fail.arm("lake.publish.file", crash)
    with pytest.raises(Crash):
        lake.write(lake.open(), 0, [{"id": number, "part": number % 4} for number in range(40)])
    count = f"SELECT count(*), count(DISTINCT id) FROM '{lake.root}/**/*.parquet'"
    assert duckdb.sql(count).fetchall() == [(10, 10)]
    lake.open(epoch=2)
    assert duckdb.sql(count).fetchall() == [(40, 40)]


def crash() -> None:
    raise Crash
