"""The same tables, the same randomised changes, Debezium and ours at once: record for record the same."""

from __future__ import annotations

import base64
import random
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from capturing import captured
from crash.program import finish, start
from debezium import debezium
from judging import Judgement, Meaning, agree
from servers.mariadb import MariadbServer, mariadb_server

import ingest
from ingest.sources.mysql_cdc.connector import MysqlCdcSource
from ingest.sources.mysql_cdc.settings import MysqlCdcSettings

PIPELINE = """\
name: judged
hub: ./data
sources:
  - {{name: by-table, type: mysql_cdc, url: "{url}", tables: ["*"], topic: "{{table}}"}}
  - {{name: together, type: mysql_cdc, url: "{url}", tables: ["*"], topic: together}}
"""
COLUMNS = """i int, un int unsigned, big bigint unsigned, n decimal(12,3), t longtext, tiny tinyint(1), f float,
  d double, dt datetime(6), ts timestamp(6) NULL, day date, tm time(6), u uuid, j json, x varbinary(20), c char(5),
  l varchar(20) CHARACTER SET latin1, e enum('ok', 'not ok'), s set('a', 'b', 'c'), y year, bits bit(10), p point"""
TABLES = {
    "one": f"CREATE TABLE one (id bigint PRIMARY KEY, {COLUMNS})",
    "two": f"CREATE TABLE two (id bigint, {COLUMNS}, part varchar(9) DEFAULT 'x', PRIMARY KEY (part, id))",
    "keyless": f"CREATE TABLE keyless (id bigint, {COLUMNS})",
}
END = 999_999
TRANSACTIONS = 250


ODD = {
    "big": ("18446744073709551615", -1, 2**64 - 1),
    "u": (
        "'123e4567-e89b-12d3-a456-426614174000'",
        "00123e45-67e8-9b12-d3a4-564266141740",
        "123e4567-e89b-12d3-a456-426614174000",
    ),
}
"""By column: in SQL, as Debezium has it, as it is."""
LOST = {
    "span": ("'-838:59:59.123'", None),
    "day": ("'2026-00-10'", None),
    "moment": ("'0000-00-00 00:00:00'", "1970-01-01T00:00:00Z"),
}
"""By column: in SQL, as Debezium has it; here they are dead letters."""


@pytest.fixture
def server() -> Iterator[MariadbServer]:
    """One for each test: a statement that Debezium cannot parse, in any database, is the end of it."""
    with mariadb_server() as server:
        for user in ("judge", "ours"):
            server.execute(f"CREATE USER {user}@'%'", f"GRANT ALL ON *.* TO {user}@'%'")
        yield server


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_debezium_tells_the_same(server: MariadbServer, tmp_path: Path) -> None:
    url = server.database()
    server.execute(*TABLES.values(), url=url)
    with Workload(server, url) as workload:
        workload.transactions(30)
        (tmp_path / "pipeline.yaml").write_text(PIPELINE.format(url=url.replace("root", "ours")))
        with debezium("mariadb", tmp_path / "judge", _settings(url, tmp_path)) as judge:
            judge.wait_until(lambda: _replicas(server, "judge") == 1)
            process = start(tmp_path / "pipeline.yaml")
            judge.wait_until(lambda: process.poll() is not None or _replicas(server, "ours") == 2)
            workload.transactions(TRANSACTIONS // 2)
            server.execute("ALTER TABLE one ADD COLUMN late int DEFAULT 5", url=url)
            workload.transactions(TRANSACTIONS // 2)
            workload.end()
            events = judge.wait_for(f'"id":{END}', len(TABLES))
            process.send_signal(signal.SIGINT)
            process.wait(60)
    finish(tmp_path / "pipeline.yaml")
    judgement = Judgement(_MEANT, ("db", "table", "gtid", "file", "pos", "row", "server_id", "ts_ms"))
    topics = [f"judge.{url.rpartition('/')[2]}.{table}" for table in TABLES]
    assert any(event.key is event.value is None for event in events), "a tombstone without a key buries nothing"
    truncates = [event.value["source"] for event in events if event.value and event.value.get("op") == "t"]
    assert any(source["row"] for source in truncates), "a truncate has the number of the change before it"
    with ingest.connect(tmp_path / "data", writable=False) as client:
        agree(judgement.ours(client, "together"), judgement.theirs(events, *topics))
        for table, topic in zip(TABLES, topics, strict=True):
            agree(judgement.ours(client, table), judgement.theirs(events, topic))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_where_debezium_is_wrong_ours_is_right(server: MariadbServer, tmp_path: Path) -> None:
    url = server.database()
    columns = "big bigint unsigned, u uuid, span time(3), day date, moment timestamp NULL"
    server.execute(f"CREATE TABLE odd (id varchar(9) PRIMARY KEY, {columns})", url=url)
    source = MysqlCdcSource(MysqlCdcSettings(url=url, tables=["odd"]))
    begun = captured(source, tmp_path)
    values = {column: value for column, (value, *_) in {**ODD, **LOST}.items()}
    inserts = [f"INSERT INTO odd (id, {column}) VALUES ('{column}', {value})" for column, value in values.items()]
    with debezium("mariadb", tmp_path / "judge", _settings(url, tmp_path)) as judge:
        judge.wait_until(lambda: _replicas(server, "judge") == 1)
        server.execute("SET sql_mode = 'ALLOW_INVALID_DATES'", *inserts, url=url)
        theirs = {each.value["after"]["id"]: each.value["after"] for each in judge.wait_for("}", len(values))}
        server.execute("CREATE TABLE addresses (ip inet6)", "INSERT INTO odd (id) VALUES ('last')", url=url)
        assert "CREATE TABLE addresses (ip inet6)" in judge.said_at_its_end(), "it parses any statement"
    found = captured(source, tmp_path, begun.positions)
    ours = {after["id"]: after for _, _, after in found.ops()}
    assert {name: theirs[name][name] for name in values} == {name: odd[1] for name, odd in {**ODD, **LOST}.items()}
    assert {name: ours[name].get(name) for name in ours} == {
        **{name: odd[2] for name, odd in ODD.items()},
        "last": None,
    }
    assert [reason.partition(" (")[0] for reason, _ in found.dead] == [f"column {name}" for name in LOST]


class Workload:
    """Transactions of a few statements each, some rolled back, whole or to a savepoint."""

    def __init__(self, server: MariadbServer, url: str) -> None:
        self._dice = random.Random(3)
        self._opened = ExitStack()
        self._cursor = self._opened.enter_context(server.connected(url)).cursor()
        self._cursor.execute("SET time_zone = '+02:00', autocommit = 0")

    def __enter__(self) -> Workload:
        return self

    def __exit__(self, *exception: object) -> None:
        self._opened.close()

    def transactions(self, count: int) -> None:
        for _ in range(count):
            self._statements()
            if self._dice.random() < 0.2:
                self._cursor.execute("SAVEPOINT here")
                self._statement(self._dice.choice(["one", "two"]), truncate=False)
                self._cursor.execute("ROLLBACK TO SAVEPOINT here")
                self._statements()
            self._cursor.execute(self._dice.choice(["COMMIT"] * 5 + ["ROLLBACK"]))

    def end(self) -> None:
        for table in TABLES:
            self._cursor.execute(f"INSERT INTO {table} (id) VALUES ({END})")
        self._cursor.execute("COMMIT")

    def _statements(self) -> None:
        for _ in range(self._dice.choice([1, 2, 20])):
            self._statement(self._dice.choice([*TABLES]))

    def _statement(self, table: str, *, truncate: bool = True) -> None:
        dice, key = self._dice, self._dice.randrange(60)
        kind = dice.choice(["insert"] * 3 + ["update"] * 3 + ["key", "delete", "truncate"])
        if kind == "insert":
            row = {"id": key, **self._row()}
            upsert = (
                f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(['%s'] * (len(row) - 1))}, POINT(1, %s))"
            )
            self._cursor.execute(f"{upsert} ON DUPLICATE KEY UPDATE t = VALUES(t), x = VALUES(x)", [*row.values()])
        elif kind == "update":
            self._cursor.execute(f"UPDATE {table} SET i = -1 - i, n = %s WHERE id < %s", [self._row()["n"], key % 7])
        elif kind == "key":
            self._cursor.execute(f"UPDATE IGNORE {table} SET id = id + 100 WHERE id = %s", [key])
        elif kind == "delete":
            self._cursor.execute(f"DELETE FROM {table} WHERE id BETWEEN %s AND %s", [key, key + dice.choice([0, 0, 4])])
        elif truncate and dice.random() < 0.1:
            self._cursor.execute(f"TRUNCATE {table}")

    def _row(self) -> dict[str, Any]:
        """All columns but the key; ``p`` is a number, and the last."""
        dice = self._dice
        return {
            "i": dice.choice([None, 0, -(2**31), 2**31 - 1]),
            "un": dice.choice([None, 2**32 - 1]),
            "big": dice.choice([None, 2**63 - 1]),
            "n": dice.choice([None, Decimal("0.001"), Decimal("-999999999.999"), Decimal(2)]),
            "t": dice.choice([None, "", "tab\tnew\nline \\ \"'", "é🙂", "x" * 3000]),
            "tiny": dice.choice([None, 0, 1, -7]),
            "f": dice.choice([None, 1.5, 0.1, -1e-20]),
            "d": dice.choice([None, 1.5, 1e300, 0.1]),
            "dt": dice.choice(
                [None, datetime(2026, 1, 2, 3, 4, 5, 678901), datetime(1600, 1, 1), datetime(9999, 1, 1)]
            ),
            "ts": dice.choice([None, "2026-01-02 03:04:05.6", "1970-01-01 23:59:59", "2026-10-25 02:30:00"]),
            "day": dice.choice([None, date(2026, 1, 2), date(1000, 1, 1), date(9999, 12, 31)]),
            "tm": dice.choice([None, time(3, 4, 5, 678901), time(0)]),
            "u": dice.choice([None, "123e4567-e89b-12d3-a456-426614174abc"]),
            "j": dice.choice([None, '{"a": [1.10, null], "b": 1}', "null"]),
            "x": dice.choice([None, b"\0\xff\xde", b""]),
            "c": dice.choice([None, "ab"]),
            "l": dice.choice([None, "é€"]),
            "e": dice.choice([None, "ok", "not ok"]),
            "s": dice.choice([None, "", "a,c"]),
            "y": dice.choice([None, 2026]),
            "bits": dice.choice([None, 513]),
            "p": dice.randrange(3),
        }


def _settings(url: str, folder: Path) -> dict[str, str]:
    parts = urlsplit(url)
    return {
        "connector.class": "io.debezium.connector.mariadb.MariaDbConnector",
        "database.hostname": "127.0.0.1",
        "database.port": str(parts.port),
        "database.user": "judge",
        "database.password": "",
        "database.server.id": "6401",
        "database.include.list": parts.path[1:],
        "schema.history.internal": "io.debezium.storage.file.history.FileSchemaHistory",
        "schema.history.internal.file.filename": str(folder / "history.dat"),
        "include.schema.changes": "false",
    }


def _replicas(server: MariadbServer, user: str) -> int:
    """How many connections of the user follow the log."""
    found = server.execute(
        f"SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = '{user}' AND COMMAND LIKE 'Binlog Dump%'"
    )
    return int(found[0][0])


def _point(theirs: dict[str, Any]) -> bytes:
    """As the server stores it: its reference system, then WKB."""
    return int(theirs["srid"] or 0).to_bytes(4, "little") + base64.b64decode(theirs["wkb"])


_MEANT: dict[str, Meaning] = {
    "n": Decimal,
    "f": lambda number: float(np.float32(number)),
    "d": float,
    "dt": lambda text: datetime.fromisoformat(text.rstrip("Z")),
    "ts": datetime.fromisoformat,
    "day": lambda text: date.fromisoformat(text.rstrip("Z")),
    "tm": lambda text: time.fromisoformat(text.rstrip("Z")),
    "x": bytes.fromhex,
    "bits": lambda text: format(int.from_bytes(base64.b64decode(text), "little"), "010b"),
    "p": _point,
}
