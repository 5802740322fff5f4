"""The same tables, the same randomised changes, Debezium and ours at once: record for record the same."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from crash.program import finish, start
from debezium import debezium
from judging import Judgement, Meaning, agree
from servers.postgres import PostgresServer, postgres_server

import ingest

PIPELINE = """\
name: judged
hub: ./data
sources:
  - name: changes
    type: postgres_cdc
    url: {url}
    tables: [plain, whole]
    topic: "{{table}}"
    slot: ours
    publication: ours
"""
COLUMNS = """id bigint PRIMARY KEY, i integer, n numeric(12,3), t text, b boolean, f double precision, ts timestamp,
  tz timestamptz, d date, tm time, u uuid, j jsonb, x bytea, c char(5)"""
TABLES = [
    f"CREATE TABLE plain ({COLUMNS})",
    f"CREATE TABLE whole ({COLUMNS})",
    "ALTER TABLE whole REPLICA IDENTITY FULL",
]
TABLES_OF = ("plain", "whole")
END = 999_999
TRANSACTIONS = 250


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_debezium_tells_the_same(server: PostgresServer, tmp_path: Path) -> None:
    url = server.database()
    server.execute(*TABLES, url=url)
    dice = random.Random(3)
    workload = Workload(url, dice)
    workload.transactions(30)
    (tmp_path / "pipeline.yaml").write_text(PIPELINE.format(url=url))
    with debezium("postgres", tmp_path / "judge", _settings(server, url)) as judge:
        judge.wait_until(lambda: _active(server, "judge"))
        process = start(tmp_path / "pipeline.yaml")
        judge.wait_until(lambda: process.poll() is None and _active(server, "ours"))
        workload.transactions(TRANSACTIONS)
        workload.end()
        events = judge.wait_for(f'"id":{END}', len(TABLES_OF))
        process.send_signal(signal.SIGINT)
        process.wait(60)
    finish(tmp_path / "pipeline.yaml")
    judgement = Judgement(_MEANT, ("schema", "table", "txId", "lsn"))
    with ingest.connect(tmp_path / "data", writable=False) as client:
        for table in TABLES_OF:
            agree(judgement.ours(client, table), judgement.theirs(events, f"judge.public.{table}"))


class Workload:
    """Transactions of a few statements each, some rolled back."""

    def __init__(self, url: str, dice: random.Random) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._dice = dice

    def transactions(self, count: int) -> None:
        for _ in range(count):
            self._connection.execute("BEGIN")
            for _ in range(self._dice.choice([1, 2, 20])):
                self._statement(self._dice.choice(TABLES_OF))
            self._connection.execute(self._dice.choice(["COMMIT"] * 5 + ["ROLLBACK"]))

    def end(self) -> None:
        for table in TABLES_OF[::-1]:
            self._connection.execute(f"INSERT INTO {table} (id) VALUES ({END})")
        self._connection.close()

    def _statement(self, table: str) -> None:
        dice, key = self._dice, self._dice.randrange(60)
        kind = dice.choice(["insert"] * 3 + ["update"] * 3 + ["key", "delete", "truncate"])
        if kind == "insert":
            values = ", ".join(["%s"] * 14)
            upsert = f"INSERT INTO {table} VALUES ({values}) ON CONFLICT (id) DO UPDATE SET t = excluded.t"
            self._connection.execute(upsert, [key, *self._row()])
        elif kind == "update":
            self._connection.execute(f"UPDATE {table} SET i = i # 7, n = %s WHERE id < %s", [self._row()[1], key % 7])
        elif kind == "key":
            moved = f"UPDATE {table} SET id = id + 100 WHERE id = %s AND NOT EXISTS (SELECT FROM {table} WHERE id = %s)"
            self._connection.execute(moved, [key, key + 100])
        elif kind == "delete":
            self._connection.execute(f"DELETE FROM {table} WHERE id = %s", [key])
        elif dice.random() < 0.1:
            self._connection.execute(f"TRUNCATE {table}")

    def _row(self) -> list[Any]:
        dice = self._dice
        return [
            dice.choice([None, 0, -(2**31), 2**31 - 1]),
            dice.choice([None, Decimal("0.001"), Decimal("-999999999.999"), Decimal(2)]),
            dice.choice([None, "", "tab\tnew\nline \\ \"'", "é🙂", "x" * 3000]),
            dice.choice([None, True, False]),
            dice.choice([None, 1.5, -0.0, 1e300, 0.1]),
            dice.choice([None, datetime(2026, 1, 2, 3, 4, 5, 678901), datetime(1600, 1, 1)]),
            dice.choice([None, "2026-01-02 03:04:05.6+02", "1950-12-31 23:59:59-08"]),
            dice.choice([None, date(2026, 1, 2), date(1, 1, 1), date(9999, 12, 31)]),
            dice.choice([None, time(3, 4, 5, 678901), time(0)]),
            dice.choice([None, "123e4567-e89b-12d3-a456-426614174000"]),
            dice.choice([None, '{"a": [1.10, null], "b": 1}', "null"]),
            dice.choice([None, b"\0\xff\xde", b""]),
            dice.choice([None, "ab"]),
        ]


def _settings(server: PostgresServer, url: str) -> dict[str, str]:
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": "127.0.0.1",
        "database.port": str(server.port),
        "database.user": "postgres",
        "database.password": "unused",
        "database.dbname": url.rpartition("/")[2],
        "plugin.name": "pgoutput",
        "slot.name": "judge",
        "publication.name": "judge",
        "publication.autocreate.mode": "filtered",
        "table.include.list": "public.plain,public.whole",
        "interval.handling.mode": "string",
    }


def _active(server: PostgresServer, slot: str) -> bool:
    return bool(server.execute(f"SELECT 1 FROM pg_replication_slots WHERE slot_name = '{slot}' AND active"))


_MEANT: dict[str, Meaning] = {
    "n": Decimal,
    "f": float,
    "ts": lambda text: datetime.fromisoformat(text.rstrip("Z")),
    "tz": datetime.fromisoformat,
    "d": lambda text: date.fromisoformat(text.rstrip("Z")),
    "tm": lambda text: time.fromisoformat(text.rstrip("Z")),
    "x": bytes.fromhex,
}
