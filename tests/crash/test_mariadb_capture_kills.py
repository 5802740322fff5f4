"""Changes of MariaDB through a pipeline that is killed: what was written down, replayed from Parquet, is the table."""

from __future__ import annotations

import random
import subprocess
import threading
from pathlib import Path
from typing import Any

import duckdb
import pytest
from crash.program import finish, start
from servers.mariadb import MariadbServer, mariadb_server

PIPELINE = """\
name: shop
hub: ./data
sources:
  - {{name: changes, type: mysql_cdc, url: "{url}", tables: [orders], topic: orders, max_batch: 64KiB}}
sinks:
  - {{name: lake, type: parquet, topics: [orders], url: ./lake, roll: {{rows: 5000, bytes: 1MiB, interval: 300ms}}}}
"""
KILLS = 50
KEYS = 400


class Workload(threading.Thread):
    """A program that goes on writing: inserts, updates, keys that change, deletes, large transactions, savepoints,
    rollbacks, new files of the log, a column that is added in the middle."""

    def __init__(self, server: MariadbServer, url: str) -> None:
        super().__init__(daemon=True)
        self._server, self._url = server, url
        self._dice = random.Random(7)
        self.stopping = threading.Event()
        self.transactions = 0
        self.failed: Exception | None = None

    def run(self) -> None:
        try:
            with self._server.connected(self._url) as connection, connection.cursor() as cursor:
                while not self.stopping.wait(0.02):
                    self._transaction(cursor)
                    self.transactions += 1
        except Exception as error:
            self.failed = error

    def _transaction(self, cursor: Any) -> None:
        if self.transactions % 400 == 399:
            cursor.execute("FLUSH BINARY LOGS")
        if self.transactions == 700:
            cursor.execute("ALTER TABLE orders ADD COLUMN note varchar(20) DEFAULT 'new'")
        cursor.execute("BEGIN")
        for _ in range(self._dice.choice([1, 1, 3, 30])):
            self._statement(cursor)
        if self._dice.random() < 0.1:
            cursor.execute("SAVEPOINT s")
            self._statement(cursor)
            cursor.execute("ROLLBACK TO s")
        cursor.execute(self._dice.choice(["COMMIT"] * 4 + ["ROLLBACK"]))

    def _statement(self, cursor: Any) -> None:
        dice = self._dice
        key, other, word = dice.randrange(KEYS), dice.randrange(KEYS), "w" * dice.choice([0, 10, 3000])
        statement, values = dice.choice(
            [
                ("REPLACE INTO orders (id, code, word) VALUES (%s, %s, %s)", (key, dice.random(), word)),
                ("UPDATE orders SET word = %s WHERE id = %s", (word, key)),
                ("UPDATE IGNORE orders SET id = %s WHERE id = %s", (other, key)),
                ("UPDATE orders SET code = code + 1 WHERE id MOD 7 = %s", (key % 7,)),
                ("DELETE FROM orders WHERE id = %s", (key,)),
                ("INSERT IGNORE INTO orders (id, code) SELECT seq, seq / 3 FROM seq_0_to_399 WHERE seq > %s", (key,)),
            ]
        )
        cursor.execute(statement, values)


@pytest.mark.slow
def test_the_changes_replayed_are_the_table_after_kills(tmp_path: Path) -> None:
    dice = random.Random(11)
    with mariadb_server() as server:
        url = server.database()
        server.execute("CREATE TABLE orders (id integer PRIMARY KEY, code double, word text)", url=url)
        server.execute("INSERT INTO orders SELECT seq, seq, 'first' FROM seq_0_to_399", url=url)
        pipeline = tmp_path / "pipeline.yaml"
        pipeline.write_text(PIPELINE.format(url=url))
        workload = Workload(server, url)
        workload.start()
        for _ in range(KILLS):
            process = start(pipeline)
            try:
                process.wait(dice.uniform(0.4, 2.2))
            except subprocess.TimeoutExpired:
                process.kill()
            assert process.wait() == -9, (tmp_path / "said.txt").read_text()[-4000:]
        workload.stopping.set()
        workload.join(60)
        assert workload.failed is None
        assert workload.transactions > 800
        finish(pipeline)
        table = server.execute("SELECT id, code, word, note FROM orders ORDER BY id", url=url)
        assert replayed(tmp_path / "lake") == table


def replayed(lake: Path) -> list[tuple[Any, ...]]:
    """The table that the changes make; each must fit to what is there."""
    files = f"read_parquet('{lake}/*.parquet', filename = true, file_row_number = true, union_by_name = true)"
    rows = duckdb.sql(
        "SELECT op, before, after, source.file, source.pos, source.row "
        f"FROM {files} WHERE op IS NOT NULL ORDER BY filename, file_row_number"
    ).fetchall()
    state: dict[int, tuple[Any, ...]] = {}
    last: tuple[Any, ...] = ("", 0, 0)
    for op, before, after, *place in rows:
        if op != "r":
            assert tuple(place) >= last, "the order of the log"
            last = tuple(place)
        if before is not None:
            assert state.pop(before["id"])[:3] == tuple(before.values())[:3]
        if after is not None:
            assert after["id"] not in state
            state[after["id"]] = tuple(after.values())
    with_note = [(*row[:3], "new" if row[3] is None else row[3]) for row in state.values()]
    return sorted(with_note)
