"""The same tables, the same randomised changes, Debezium and ours at once: record for record the same."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from crash.program import finish, start
from debezium import debezium
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

Told = tuple[Any, ...]


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
        events = judge.wait_for(f'"id": {END}')
        process.send_signal(signal.SIGINT)
        process.wait(60)
    finish(tmp_path / "pipeline.yaml")
    theirs = {table: [_theirs(each) for each in events if each.topic == f"judge.public.{table}"] for table in TABLES_OF}
    with ingest.connect(tmp_path / "data", writable=False) as client:
        ours = {table: _ours(client, table) for table in TABLES_OF}
    for table in TABLES_OF:
        _compare(_rows(ours[table]), _rows(theirs[table]))
        _compare(_changes(ours[table]), _changes(theirs[table]))


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


def _compare(ours: list[Told], theirs: list[Told]) -> None:
    for number, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        assert one == other, f"record {number} of {len(ours)}: {_difference(one, other)}"
    assert len(ours) == len(theirs)


def _difference(ours: Told, theirs: Told) -> list[Any]:
    """Only what differs, for people."""
    found: list[Any] = []
    for one, other in zip(ours, theirs, strict=False):
        if isinstance(one, dict) and isinstance(other, dict):
            found += [(name, one[name], other.get(name)) for name in one if one[name] != other.get(name)]
        elif one != other:
            found.append((one, other))
    return found


def _theirs(event: Any) -> Told:
    key = None if event.key is None else event.key["id"]
    if event.value is None:
        return key, None
    value = event.value
    sides = [None if value[side] is None else _typed(value[side]) for side in ("before", "after")]
    return key, value["op"], *sides, *_place(value["source"])


def _ours(client: Any, table: str) -> list[Told]:
    with client.consumer(table) as consumer:
        rows: list[Any] = []
        while found := consumer.rows():
            rows += found
    return [_of_ours(row) for row in rows]


def _of_ours(row: Any) -> Told:
    key = None if row.key is None else json.loads(row.key)["id"]
    if row.value is None:
        return key, None
    value = row.value
    return key, value["op"], value["before"], value["after"], *_place(value["source"])


def _place(source: dict[str, Any]) -> Told:
    """Whether the snapshot read it; else its transaction, and where it stands in the log."""
    if source["snapshot"] != "false":
        return (True,)
    return False, source["schema"], source["table"], source["txId"], source["lsn"]


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    """Debezium's texts as the values that they mean."""
    return {name: None if value is None else _MEANT.get(name, lambda same: same)(value) for name, value in row.items()}


_MEANT: dict[str, Callable[[Any], Any]] = {
    "n": Decimal,
    "f": float,
    "ts": lambda text: datetime.fromisoformat(text.rstrip("Z")),
    "tz": datetime.fromisoformat,
    "d": lambda text: date.fromisoformat(text.rstrip("Z")),
    "tm": lambda text: time.fromisoformat(text.rstrip("Z")),
    "x": bytes.fromhex,
}


def _rows(told: list[Told]) -> list[Told]:
    """Those of the snapshot; several connections read them, in no order."""
    return sorted((each for each in told if each[1] == "r"), key=lambda each: each[0])


def _changes(told: list[Told]) -> list[Told]:
    return [each for each in told if each[1] != "r"]
