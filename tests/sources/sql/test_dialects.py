"""Databases through SQLAlchemy, row by row: here PostgreSQL with another driver, and SQLite by its driver's name."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from importing import imported

from ingest.connectors.testing import SourceContract
from ingest.errors import ConnectorError, MissingDependency
from ingest.sources.sql.connector import SqlSource
from ingest.sources.sql.settings import SqlSettings


def sqlite_url(folder: Path) -> str:
    return f"sqlite+pysqlite:///{folder}/shop.db"


class TestContract(SourceContract):
    follows = False

    def source(self, folder: Path) -> SqlSource:
        return SqlSource(SqlSettings(url=sqlite_url(folder), tables=["notes"], columns=["text", "size"]))

    def fill(self, folder: Path, rows: Sequence[str]) -> None:
        with closing(sqlite3.connect(folder / "shop.db")) as database, database:
            database.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT, size INTEGER)")
            database.executemany("INSERT INTO notes (text) VALUES (?)", [[row] for row in rows])

    def spoil(self, folder: Path) -> None:
        with closing(sqlite3.connect(folder / "shop.db")) as database, database:
            database.execute("INSERT INTO notes (size) VALUES ('large')")


class Server:
    """PostgreSQL as SQLAlchemy and pg8000 read it."""

    def __init__(self, url: str, folder: Path) -> None:
        self._folder = folder
        self._url = url
        self.url = url.replace("postgresql://", "postgresql+pg8000://")

    def run(self, *statements: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def read(self, **settings: Any) -> Any:
        return imported(self._folder, **{"url": self.url, **settings})


@pytest.fixture
def server(url: str, tmp_path: Path) -> Server:
    return Server(url, tmp_path)


NOON = datetime(2026, 1, 31, 12, 0, 0, 123456)


@pytest.mark.parametrize(
    ("declared", "value", "kind", "meant"),
    [
        ("BOOLEAN", "true", pa.bool_(), True),
        ("BIGINT", "-9223372036854775808", pa.int64(), -(2**63)),
        ("double precision", "'-inf'", pa.float64(), float("-inf")),
        ("DECIMAL(10,2)", "-12345678.90", pa.decimal128(10, 2), Decimal("-12345678.90")),
        ("DECIMAL(38,10)", "1e-10", pa.decimal128(38, 10), Decimal("1E-10")),
        ("VARCHAR", "'é🙂'", pa.string(), "é🙂"),
        ("bytea", r"'\x00ff'", pa.binary(), b"\0\xff"),
        ("DATE", "'0001-01-01'", pa.date32(), date(1, 1, 1)),
        ("TIME", "'23:59:59.999999'", pa.time64("us"), time(23, 59, 59, 999999)),
        ("TIMESTAMP", "'2026-01-31 12:00:00.123456'", pa.timestamp("us"), NOON),
        ("TIMESTAMPTZ", "'2026-01-31 12:00:00.123456Z'", pa.timestamp("us", "UTC"), NOON.replace(tzinfo=UTC)),
        ("UUID", "'00112233-4455-6677-8899-aabbccddee00'", pa.string(), "00112233-4455-6677-8899-aabbccddee00"),
        ("INTEGER[]", "'{1,NULL}'", pa.string(), "[1, null]"),
        ("jsonb", """'{"a":"é"}'""", pa.string(), '{"a": "é"}'),
    ],
)
def test_a_value_of_each_type_is_what_it_was(
    server: Server, declared: str, value: str, kind: pa.DataType, meant: object
) -> None:
    server.run(f"CREATE TABLE t (v {declared})", f"INSERT INTO t VALUES ({value}), (NULL)")
    found = server.read(tables=["t"])
    assert found.rows == [{"v": meant}, {"v": None}]
    assert found.records[0].value.type.field("v").type == kind
    assert not found.dead


def test_columns_where_patterns_schemas_and_odd_names_select(server: Server) -> None:
    server.run("CREATE SCHEMA s", 'CREATE TABLE s."odd %name" (a INTEGER PRIMARY KEY, "b c" VARCHAR)')
    server.run("""INSERT INTO s."odd %name" VALUES (1, 'x:y'), (2, '100%')""")
    (stream,) = server.read(tables=["s.*"], columns=["b c"], where="\"b c\" LIKE '100%'").by_stream.items()
    assert stream[0] == "s.odd %name"
    assert stream[1] == [{"b c": "100%"}]


def test_a_query_has_the_types_of_its_first_rows(server: Server) -> None:
    query = "SELECT * FROM (VALUES (1, 1.5::DECIMAL(4,2), 'a', NULL), (2, 2.25, 'b', NULL)) v(i, d, s, n);"
    assert server.read(query=query).rows == [
        {"i": 1, "d": "1.50", "s": "a", "n": None},
        {"i": 2, "d": "2.25", "s": "b", "n": None},
    ]


def test_what_a_type_cannot_hold_is_a_dead_letter(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database, database:
        database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, at DATETIME, d DECIMAL(4,2))")
        database.execute("INSERT INTO t VALUES (1, 1, '2026-01-31 12:00:00', 1.25)")
        database.execute("INSERT INTO t VALUES (2, 'many', NULL, NULL), (3, 1, 'soon', 1), (4, 1, NULL, 1.125)")
    found = imported(tmp_path, url=sqlite_url(tmp_path), tables=["t"])
    assert found.rows == [{"id": 1, "n": 1, "at": datetime(2026, 1, 31, 12), "d": Decimal("1.25")}]
    assert [reason.partition(" has")[0] for reason, _ in found.dead] == [
        "column n (INTEGER)",
        "column at (DATETIME)",
        "column d (DECIMAL(4, 2))",
    ]


def test_incremental_split_and_resumed_imports_work_as_with_any_other(server: Server, tmp_path: Path) -> None:
    server.run("CREATE TABLE t (a INTEGER, b VARCHAR, PRIMARY KEY (a, b))")
    server.run("INSERT INTO t SELECT n / 10, 'it''s ' || n FROM generate_series(0, 999) n")
    settings = {"url": server.url, "tables": ["t"], "resume": True, "splits": 1}
    first = imported(tmp_path, **settings, stop_after_commits=3)
    rest = imported(tmp_path, **settings, positions=first.positions)
    assert len({row["b"] for row in first.rows + rest.rows}) == len(first.rows + rest.rows) == 1000
    incremental = {"column": "a", "mode": "append"}
    begun = server.read(tables=["t"], incremental=incremental)
    assert len(begun.rows) == 1000
    server.run("INSERT INTO t VALUES (99, 'late'), (100, 'new')")
    more = server.read(tables=["t"], incremental=incremental, positions=begun.positions)
    assert [row["b"] for row in more.rows] == ["late", "new"]


def test_a_dialect_or_a_driver_that_is_missing_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(MissingDependency) as dialect:
        imported(tmp_path, url="snowflake://user:hunter2@account/db", tables=["t"])
    assert dialect.value.hint == "pip install snowflake-sqlalchemy"
    with pytest.raises(MissingDependency) as driver:
        imported(tmp_path, url="oracle+oracledb://user:hunter2@host/db", tables=["t"])
    assert driver.value.hint == "pip install oracledb"
    assert "hunter2" not in f"{dialect.value}{driver.value}"


def test_what_the_database_refuses_is_said(server: Server) -> None:
    server.run("CREATE TABLE orders (id INTEGER)")
    with pytest.raises(ConnectorError) as missing:
        server.read(tables=["oders"])
    assert "orders?" in (missing.value.hint or "")
    with pytest.raises(ConnectorError, match="nothing"):
        server.read(tables=["orders"], where="nothing = 1")
