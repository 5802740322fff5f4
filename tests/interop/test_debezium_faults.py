"""Where Debezium loses by its defaults, and gives changes twice: there ours is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from crash.program import finish, start
from debezium import Debezium, debezium
from postgres_capture import Capture
from servers.mariadb import MariadbServer, mariadb_server
from servers.postgres import PostgresServer, postgres_server

import ingest
from ingest.errors import IngestError

DEFAULTS = {"decimal.handling.mode": "precise", "time.precision.mode": "adaptive", "skipped.operations": "t"}
CASES: dict[str, tuple[str, object, object]] = {
    "free": ("'NaN'", None, "NaN"),
    "tens": ("1.10", {"scale": 1, "value": "Cw=="}, "1.10"),  # base64 of 11
    "span": ("'1 mon'", 2_629_800_000_000, "P1M"),  # 30.4375 days
    "cents": ("'NaN'", None, "a dead letter"),
    "day": ("'infinity'", -2_147_472_692, "a dead letter"),
}
"""By column: in SQL, as Debezium has it, as ours has it."""
COLUMNS = "free numeric, tens numeric, span interval, cents numeric(12,2), day date"
ROWS = 500


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture
def mariadb() -> Iterator[MariadbServer]:
    with mariadb_server() as server:
        yield server


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_debezium_loses_by_its_defaults(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.database()
    postgres.execute(f"CREATE TABLE odd (id text PRIMARY KEY, {COLUMNS})", url=url)
    ours = Capture(postgres, url, tables=["odd"])
    ours.run()
    inserts = [f"INSERT INTO odd (id, {name}) VALUES ('{name}', {value})" for name, (value, *_) in CASES.items()]
    with debezium("postgres", tmp_path / "judge", of_postgres(postgres, url) | DEFAULTS) as judge:
        judge.wait_until(lambda: streams(postgres))
        postgres.execute(*inserts, "TRUNCATE odd", "INSERT INTO odd (id) VALUES ('last')", url=url)
        events = [event.value for event in judge.wait_for('"id":"last"', 1)]
    theirs = {value["after"]["id"]: value["after"] for value in events}
    assert [value["op"] for value in events] == ["c"] * len(events), "it tells of no truncate"
    ours.run()
    changes = [value for _, _, value in ours.records]
    found = {value["after"]["id"]: value["after"] for value in changes if value["after"]}
    letters = {str(content["after"]["id"]): "a dead letter" for content, _ in ours.dead}
    assert [value["op"] for value in changes] == ["c"] * 3 + ["t", "c"]
    assert {name: theirs[name][name] for name in CASES} == {name: case[1] for name, case in CASES.items()}
    assert {name: letters.get(name) or found[name][name] for name in CASES} == {
        name: case[2] for name, case in CASES.items()
    }


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_after_a_kill_debezium_tells_again_and_ours_does_not(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    server: Any = request.getfixturevalue(kind)
    url = server.database()
    server.execute("CREATE TABLE plain (id int PRIMARY KEY)", url=url)
    settings = of_postgres(server, url) if kind == "postgres" else of_mariadb(url, tmp_path)
    settings["offset.flush.interval.ms"] = "60000"  # its default
    with debezium(kind, tmp_path / "judge", settings) as judge:
        judge.wait_until(lambda: streams(server))
        insert(server, url, 0)
        judge.wait_for('"op":"c"', ROWS)
    pipeline = written(tmp_path, kind, url)
    process = start(pipeline)
    insert(server, url, ROWS)
    with debezium(kind, tmp_path / "judge", settings) as judge:
        wait_until_read(judge, tmp_path, 2 * ROWS)
        process.kill()
        process.wait()
        insert(server, url, 2 * ROWS)
        finish(pipeline)
        events = judge.wait_for(f'"id":{3 * ROWS - 1}}}', 1)
    theirs = Counter(event.value["after"]["id"] for event in events if event.topic.endswith(".plain"))
    assert set(theirs) == set(range(3 * ROWS))
    assert max(theirs.values()) > 1
    assert Counter(ids(tmp_path)) == dict.fromkeys(range(3 * ROWS), 1)


def insert(server: Any, url: str, first: int) -> None:
    values = ", ".join(f"({number})" for number in range(first, first + ROWS))
    server.execute(f"INSERT INTO plain VALUES {values}", url=url)


def written(folder: Path, kind: str, url: str) -> Path:
    source = "postgres_cdc" if kind == "postgres" else "mysql_cdc"
    named = f"{{name: changes, type: {source}, url: '{url}', tables: [plain], topic: plain}}"
    path = folder / "pipeline.yaml"
    path.write_text(f"name: killed\nhub: ./data\nsources: [{named}]\n")
    return path


def ids(folder: Path) -> list[int]:
    """What the hub has of rows that came."""
    with ingest.connect(folder / "data", writable=False) as client, client.consumer("plain") as consumer:
        rows: list[Any] = []
        while found := consumer.rows():
            rows += found
    return [row.value["after"]["id"] for row in rows]


def wait_until_read(judge: Debezium, folder: Path, count: int) -> None:
    """By ours; the judge is the one that can wait."""

    def reached() -> bool:
        try:
            return len(ids(folder)) >= count
        except IngestError:  # there is no hub, or no topic yet
            return False

    judge.wait_until(reached)


def streams(server: Any) -> bool:
    """Whether Debezium follows the log."""
    if isinstance(server, PostgresServer):
        return bool(server.execute("SELECT 1 FROM pg_replication_slots WHERE slot_name = 'judge' AND active"))
    dumps = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'"
    return bool(server.execute(dumps)[0][0])


def of_postgres(server: PostgresServer, url: str) -> dict[str, str]:
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
        "table.include.list": "public.odd,public.plain",
    }


def of_mariadb(url: str, folder: Path) -> dict[str, str]:
    parts = urlsplit(url)
    return {
        "connector.class": "io.debezium.connector.mariadb.MariaDbConnector",
        "database.hostname": "127.0.0.1",
        "database.port": str(parts.port),
        "database.user": "root",
        "database.password": "",
        "database.server.id": "6401",
        "database.include.list": parts.path[1:],
        "schema.history.internal": "io.debezium.storage.file.history.FileSchemaHistory",
        "schema.history.internal.file.filename": str(folder / "history.dat"),
        "include.schema.changes": "false",
    }
