"""A whole sample database goes from server to server by way of the hub, and every row is the same at the end."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest
from crash.program import finish
from needs import SHARED_DATA, needs
from servers.mariadb import MariadbServer, mariadb_server
from servers.postgres import PostgresServer, postgres_server

CHINOOK = SHARED_DATA / "chinook" / "Chinook_PostgreSql_SerialPKs.sql"
ROWS = {
    "album": 347,
    "artist": 275,
    "customer": 59,
    "employee": 8,
    "genre": 25,
    "invoice": 412,
    "invoice_line": 2240,
    "media_type": 5,
    "playlist": 18,
    "playlist_track": 8715,
    "track": 3503,
}
PIPELINE = """\
name: {name}
hub: ./{name}
sources:
  - {{name: tables, type: sql, url: "{source}", tables: ["*"], topic: "{{table}}"}}
sinks:
  - {{name: lake, type: parquet, topics: ["*"], url: ./lake-{name}, partition_by: [topic]}}
  - {{name: copy, type: sql, topics: ["*"], url: "{target}", table: "{{topic}}"}}
"""


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
def test_every_row_is_the_same_behind_two_hubs_and_two_databases(
    postgres: PostgresServer, mariadb: MariadbServer, tmp_path: Path
) -> None:
    needs(CHINOOK.is_file(), "the sample database")
    first, second, third = postgres.database(), mariadb.database(), f"sqlite:///{tmp_path / 'third.db'}"
    postgres.execute(CHINOOK.read_text().split("\\c chinook_serial;")[1], url=first)
    run(tmp_path, "there", first, second)
    run(tmp_path, "onward", second, third)
    with closing(sqlite3.connect(tmp_path / "third.db")) as third_database:
        for table, count in ROWS.items():
            statement, columns = select(postgres, first, table)
            source = checksum(postgres.execute(statement, url=first))
            assert source[0] == count
            assert checksum(rows_in(tmp_path / "lake-there" / f"topic={table}", columns)) == source, table
            assert checksum(mariadb.execute(statement, url=second)) == source, table
            assert checksum(rows_in(tmp_path / "lake-onward" / f"topic={table}", columns)) == source, table
            assert checksum(third_database.execute(statement)) == source, table


def run(folder: Path, name: str, source: str, target: str) -> None:
    pipeline = folder / f"{name}.yaml"
    pipeline.write_text(PIPELINE.format(name=name, source=source, target=target))
    finish(pipeline)


def select(postgres: PostgresServer, url: str, table: str) -> tuple[str, list[str]]:
    """A statement for each of the databases, and its columns."""
    found = postgres.execute(
        "SELECT attname FROM pg_attribute "
        f"WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        url=url,
    )
    columns = [name for (name,) in found]
    return f"SELECT {', '.join(columns)} FROM {table}", columns


def rows_in(folder: Path, columns: list[str]) -> Iterator[Iterable[Any]]:
    rows: list[Mapping[str, Any]] = ds.dataset(folder, format="parquet").to_table(columns=columns).to_pylist()
    return (row.values() for row in rows)


def checksum(rows: Iterable[Iterable[Any]]) -> tuple[int, int]:
    """How many rows these are, and a sum over them that does not know their order."""
    count = total = 0
    for row in rows:
        told = json.dumps([plain(value) for value in row]).encode()
        total += int.from_bytes(hashlib.sha256(told).digest(), "big")
        count += 1
    return count, total % 2**256


def plain(value: Any) -> Any:
    """What SQLite, which knows no times and no decimals, has for a value."""
    if isinstance(value, datetime):
        return value.isoformat(" ", "microseconds")
    return str(value) if isinstance(value, Decimal) else value
