"""Tables to Parquet by ``ingest run``, killed on the way: nobody sees a part of an import, every row comes out once."""

from __future__ import annotations

import random
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from crash.program import finish, start
from servers.mariadb import mariadb_server
from servers.postgres import postgres_server

ROWS = 120_000
PIPELINE = """\
name: tables
hub: ./data
sources:
  - name: shop
    type: sql
    url: {url}
    tables: [orders, items]
    topic: "{{table}}"
    max_batch: 256KiB
sinks:
  - name: lake
    type: parquet
    topics: [orders, items]
    url: ./lake
    partition_by: [topic]
"""
TABLES = [
    "CREATE TABLE orders (id integer PRIMARY KEY, word text)",
    "CREATE TABLE items (id integer PRIMARY KEY, word text)",
]
FAIL_POINTS = ("source.appended*1", "source.appended*4", "source.committed*1", "lake.manifest.put*1")


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def pipeline(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A pipeline over two tables of a database."""
    path = tmp_path / "pipeline.yaml"
    if request.param == "sqlite":
        with sqlite3.connect(tmp_path / "shop.db") as database:
            for statement in TABLES:
                database.execute(statement)
            for table in ("orders", "items"):
                rows = ((number, f"word {number}") for number in range(ROWS))
                database.executemany(f"INSERT INTO {table} VALUES (?, ?)", rows)
        path.write_text(PIPELINE.format(url="sqlite:///shop.db"))
        yield path
        return
    if request.param == "mariadb":
        with mariadb_server() as server:
            url = server.database()
            fill = "INSERT INTO {} SELECT seq, CONCAT('word ', seq) FROM seq_0_to_{}"
            server.execute(*TABLES, *(fill.format(table, ROWS - 1) for table in ("orders", "items")), url=url)
            path.write_text(PIPELINE.format(url=url))
            yield path
        return
    with postgres_server() as server:
        url = server.database()
        fill = "INSERT INTO {} SELECT n, 'word ' || n FROM generate_series(0, {}) n"
        server.execute(*TABLES, *(fill.format(table, ROWS - 1) for table in ("orders", "items")), url=url)
        path.write_text(PIPELINE.format(url=url))
        yield path


@pytest.mark.slow
def test_every_row_comes_out_once_through_kills(pipeline: Path) -> None:
    dice, deaths = random.Random(5), 0
    for name in FAIL_POINTS:
        process = start(pipeline, "--until-caught-up", INGEST_FAILPOINTS=name)
        deaths += process.wait(60) == -9
    for _ in range(4):
        process = start(pipeline)
        try:
            process.wait(dice.uniform(0.3, 2.0))
        except subprocess.TimeoutExpired:
            process.kill()
        assert process.wait() == -9, (pipeline.parent / "said.txt").read_text()[-4000:]
    finish(pipeline)
    assert deaths >= 3
    found = duckdb.sql(
        "SELECT topic, count(*), count(DISTINCT id), sum(id), count(DISTINCT word) "
        f"FROM read_parquet('{pipeline.parent}/lake/**/*.parquet', hive_partitioning = true) GROUP BY ALL ORDER BY 1"
    ).fetchall()
    whole = (ROWS, ROWS, ROWS * (ROWS - 1) // 2, ROWS)
    assert found == [("items", *whole), ("orders", *whole)]
