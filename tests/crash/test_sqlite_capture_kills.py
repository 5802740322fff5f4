"""Changes of SQLite through a pipeline that is killed: what was written down, replayed from Parquet, is the table."""

from __future__ import annotations

import random
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from crash.program import finish, start

from ingest.sources.sqlite_cdc import capture

PIPELINE = """\
name: shop
hub: ./data
sources:
  - {name: changes, type: sqlite_cdc, url: 'sqlite:///shop.db', tables: [orders], topic: orders, max_batch: 16KiB}
sinks:
  - {name: lake, type: parquet, topics: [orders], url: ./lake, roll: {rows: 500, bytes: 1MiB, interval: 200ms}}
"""
KILLS = 50


class Workload:
    """A program that goes on writing: inserts, updates, keys that change, deletes, replaced rows, rollbacks."""

    def __init__(self, path: Path, dice: random.Random) -> None:
        self.database = sqlite3.connect(path, isolation_level=None, timeout=60)
        self._dice = dice

    def transaction(self) -> None:
        dice = self._dice
        self.database.execute("BEGIN IMMEDIATE")
        for _ in range(dice.choice([1, 3, 30])):
            key, other, word = dice.randrange(300), dice.randrange(300), "w" * dice.choice([1, 10, 3000])
            statement, values = dice.choice(
                [
                    ("INSERT OR REPLACE INTO orders VALUES (?, ?, ?)", (key, other, word)),
                    ("UPDATE orders SET word = ? WHERE id = ?", (word, key)),
                    ("UPDATE OR REPLACE orders SET id = ? WHERE id = ?", (key, other)),
                    ("UPDATE OR REPLACE orders SET code = ? WHERE id = ?", (key, other)),
                    ("DELETE FROM orders WHERE id = ?", (key,)),
                ]
            )
            self.database.execute(statement, values)
        self.database.execute(dice.choice(["COMMIT"] * 4 + ["ROLLBACK"]))


@pytest.mark.slow
def test_the_changes_replayed_are_the_table_after_kills(tmp_path: Path) -> None:
    dice = random.Random(11)
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    with closing(Workload(tmp_path / "shop.db", dice).database) as database:
        database.execute("PRAGMA journal_mode = wal")
        database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, code INTEGER UNIQUE, word TEXT)")
    with capture.opened(tmp_path / "shop.db") as opened:
        capture.install(opened, ["orders"], [], lambda: "id")
    workload = Workload(tmp_path / "shop.db", dice)
    for _ in range(50):
        workload.transaction()
    for _ in range(KILLS):
        process = start(tmp_path / "pipeline.yaml")
        for _ in range(dice.choice([0, 5, 40])):
            workload.transaction()
        try:
            process.wait(dice.uniform(0.3, 2.0))
        except subprocess.TimeoutExpired:
            process.kill()
        assert process.wait() == -9, (tmp_path / "said.txt").read_text()[-4000:]
    finish(tmp_path / "pipeline.yaml")
    table = workload.database.execute("SELECT id, code, word FROM orders ORDER BY id").fetchall()
    workload.database.close()
    assert replayed(tmp_path / "lake") == table


def replayed(lake: Path) -> list[tuple[Any, ...]]:
    """The table that the changes make; each must fit to what is there."""
    files = f"read_parquet('{lake}/*.parquet', filename = true, file_row_number = true)"
    rows = duckdb.sql(
        f"SELECT op, before, after, source.change FROM {files} WHERE op IS NOT NULL ORDER BY filename, file_row_number"
    ).fetchall()
    state: dict[int, tuple[Any, ...]] = {}
    last = 0
    for op, before, after, change in rows:
        if op == "r":
            assert after["id"] not in state
        else:
            assert change >= last, "the table's order"
            last = change
        if before is not None:
            assert state.pop(before["id"]) == tuple(before.values())
        if after is not None:
            assert after["id"] not in state
            state[after["id"]] = tuple(after.values())
    return [state[key] for key in sorted(state)]
