"""Changes of PostgreSQL by ``ingest run``, killed again and again while a workload goes on: the history of changes in
the hub replays, row by row, to what the tables hold."""

from __future__ import annotations

import random
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from crash.program import finish, start
from servers.postgres import PostgresServer, postgres_server

import ingest

KILLS = 50
ROWS = 20_000
PIPELINE = """\
name: kills
hub: ./data
sources:
  - name: shop
    type: postgres_cdc
    url: {url}
    tables: [orders, items]
    topic: "{{table}}"
    max_batch: 64KiB
"""
TABLES = (
    "CREATE TABLE orders (id integer PRIMARY KEY, version integer, word text, big text)",
    "CREATE TABLE items (id integer PRIMARY KEY, version integer, word text, big text)",
    "ALTER TABLE items REPLICA IDENTITY FULL",
    f"INSERT INTO orders SELECT n, 0, 'word ' || n, NULL FROM generate_series(1, {ROWS}) n",
    f"INSERT INTO items SELECT n, 0, 'word ' || n, NULL FROM generate_series(1, {ROWS}) n",
)
NAMES = ("orders", "items")
UNAVAILABLE = "__debezium_unavailable_value"
FAIL_POINTS = (
    "postgres_cdc.slot.made*1",
    "source.appended*2",
    "source.committed*1",
    "source.appended*5",
    "source.committed*3",
    "source.polled*2",
)


class Workload:
    """Changes of all kinds by one client, each numbered, in transactions short and long, some rolled back."""

    def __init__(self, url: str, dice: random.Random) -> None:
        self._url = url
        self._dice = dice
        self._columns = 0
        self._next = ROWS + 1
        self.transactions = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """In a thread of its own, until the block ends."""
        ended, failed = threading.Event(), []

        def work() -> None:
            try:
                with psycopg.connect(self._url) as connection:
                    while not ended.wait(0.01):
                        self.transaction(connection)
            except Exception as error:
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        assert not failed, failed

    def transaction(self, connection: psycopg.Connection[Any]) -> None:
        self.transactions += 1
        for _ in range(self._dice.choice([1, 1, 3, 10, 200])):
            connection.execute(self._change(self._dice.choice(NAMES)))
        if self._dice.random() < 0.15:
            connection.rollback()
        else:
            connection.commit()

    def _change(self, table: str) -> str:
        kind, row = self._dice.random(), self._dice.randint(1, self._next)
        if kind < 0.35:
            self._next += 1
            return f"INSERT INTO {table} (id, version, word, big) VALUES ({self._next}, 0, 'new', {self._big()})"
        if kind < 0.65:
            return f"UPDATE {table} SET version = version + 1 WHERE id = {row}"
        if kind < 0.75:
            return f"UPDATE {table} SET big = {self._big()} WHERE id = {row}"
        if kind < 0.85:
            return f"DELETE FROM {table} WHERE id = {row}"
        if kind < 0.97:
            self._next += 1
            return f"UPDATE {table} SET id = {self._next} WHERE id = {row}"
        if kind < 0.974:
            self._columns = min(5, self._columns + 1)
            return f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS more{self._columns} integer"
        return f"UPDATE {table} SET version = version + 1 WHERE id BETWEEN {row} AND {row + 300}"

    def _big(self) -> str:
        """Of some 10 KiB that cannot be compressed: kept apart from the row, and sent only where it changes."""
        return (
            f"(SELECT string_agg(md5((n * {self._dice.randint(1, 10**6)})::text), '') FROM generate_series(1, 300) n)"
        )


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_history_replays_to_the_tables_through_kills(server: PostgresServer, tmp_path: Path) -> None:
    url = server.database()
    server.execute(*TABLES, url=url)
    pipeline = tmp_path / "pipeline.yaml"
    pipeline.write_text(PIPELINE.format(url=url))
    dice = random.Random(11)
    workload = Workload(url, random.Random(12))
    deaths = 0
    with workload.running():
        for number in range(KILLS):
            armed = {"INGEST_FAILPOINTS": FAIL_POINTS[number % len(FAIL_POINTS)]} if number % 2 else {}
            deaths += _killed(pipeline, dice.uniform(0.6, 2.2), armed)
    finish(pipeline)
    said = (tmp_path / "said.txt").read_text()
    assert deaths == KILLS, said[-4000:]
    assert workload.transactions > 100
    for table in NAMES:
        assert _replayed(tmp_path / "data", table) == _rows(server, url, table), table
    (slots,) = server.execute("SELECT count(*) FROM pg_replication_slots", url=url)[0]
    assert slots == 1


def _killed(pipeline: Path, after_s: float, environment: dict[str, str]) -> bool:
    process = start(pipeline, **environment)
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        process.kill()
    return process.wait() == -9


def _rows(server: PostgresServer, url: str, table: str) -> dict[int, dict[str, Any]]:
    rows = server.execute(f"SELECT jsonb_strip_nulls(to_jsonb(t)) FROM {table} t", url=url)
    return {row["id"]: row for (row,) in rows}


def _replayed(data: Path, table: str) -> dict[int, dict[str, Any]]:
    """The table that the changes make, each applied to exactly what the one before it has left."""
    rows: dict[int, dict[str, Any]] = {}
    gone: dict[str, Any] = {}
    for value in _values(data, table):
        before, after, op = (value[name] for name in ("before", "after", "op"))
        if op == "d":
            gone = rows.pop(before["id"])
            continue
        known = gone if op == "c" else rows.get(after["id"])
        assert (op == "u") == (after["id"] in rows), value
        if op == "u":
            assert after["version"] - known["version"] in (0, 1), (known, value)
        rows[after["id"]] = {name: known[name] if each == UNAVAILABLE else each for name, each in after.items()}
    return {key: {name: each for name, each in row.items() if each is not None} for key, row in rows.items()}


def _values(data: Path, topic: str) -> Iterator[dict[str, Any]]:
    """All of them, without the tombstones."""
    with ingest.connect(data, writable=False) as client, client.consumer(topic) as consumer:
        while found := consumer.rows():
            yield from (row.value for row in found if row.value is not None)
