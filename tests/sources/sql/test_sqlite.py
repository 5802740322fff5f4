"""SQLite into records: every value of its own type, at one moment, or a dead letter."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from importing import imported
from needs import needs

from ingest.connectors.testing import SourceContract
from ingest.errors import ConnectorError
from ingest.sources.sql.connector import SqlSource
from ingest.sources.sql.settings import SqlSettings
from ingest.sources.sqlite import library


@pytest.fixture(params=["kernel", "twin"], autouse=True)
def reads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test is of both."""
    if request.param == "kernel":
        needs(not library.reached(), "the compiled kernel of SQLite's rows")
    else:
        monkeypatch.setattr(library, "reached", lambda: "the twin is tested")


class TestContract(SourceContract):
    follows = False

    def source(self, folder: Path) -> SqlSource:
        return SqlSource(SqlSettings(url="sqlite:///shop.db", tables=["notes"], columns=["text"]))

    def fill(self, folder: Path, rows: Sequence[str]) -> None:
        make(folder, "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)")
        with closing(sqlite3.connect(folder / "shop.db")) as database, database:
            database.executemany("INSERT INTO notes (text) VALUES (?)", [[row] for row in rows])

    def spoil(self, folder: Path) -> None:
        make(folder, "INSERT INTO notes (text) VALUES (x'00ff')")


def make(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "shop.db")) as database, database:
        for statement in statements:
            database.execute(statement)


def read(folder: Path, **settings: Any) -> Any:
    return imported(folder, **{"url": "sqlite:///shop.db", **settings})


@pytest.mark.parametrize(
    ("declared", "value", "kind", "meant"),
    [
        ("INTEGER", "9223372036854775807", pa.int64(), 2**63 - 1),
        ("INTEGER", "-9223372036854775808", pa.int64(), -(2**63)),
        ("REAL", "1e300", pa.float64(), 1e300),
        ("REAL", "9e999", pa.float64(), float("inf")),
        ("REAL", "3", pa.float64(), 3.0),
        ("VARCHAR(10)", "'é🙂'", pa.string(), "é🙂"),
        ("TEXT", "1.10", pa.string(), "1.1"),
        ("BLOB", "x'00ff'", pa.binary(), b"\0\xff"),
        ("DATETIME", "'2026-01-31 23:59:59'", pa.string(), "2026-01-31 23:59:59"),
        ("DECIMAL(10,2)", "12", pa.int64(), 12),
        ("DECIMAL(10,2)", "12.5", pa.float64(), 12.5),
        ("", "x'01'", pa.binary(), b"\1"),
        ("DATE", "NULL", pa.string(), None),
    ],
)
def test_a_value_of_each_type_is_what_it_was(
    tmp_path: Path, declared: str, value: str, kind: pa.DataType, meant: object
) -> None:
    make(tmp_path, f"CREATE TABLE t (v {declared})", f"INSERT INTO t VALUES ({value})")
    found = read(tmp_path, tables=["t"])
    assert found.rows == [{"v": meant}]
    assert found.records[0].value.type.field("v").type == kind


@pytest.mark.parametrize(
    ("declared", "good", "bad"),
    [
        ("INTEGER", "1", "1.5"),
        ("INTEGER", "1", "'many'"),
        ("TEXT", "'a'", "x'61'"),
        ("BLOB", "x'61'", "'a'"),
        ("TEXT", "'a'", "CAST(x'ff' AS TEXT)"),
        ("REAL", "1.5", "'none'"),
    ],
)
def test_a_value_of_another_type_is_a_dead_letter_with_key_and_column(
    tmp_path: Path, declared: str, good: str, bad: str
) -> None:
    make(tmp_path, f"CREATE TABLE t (id INTEGER PRIMARY KEY, v {declared})")
    make(tmp_path, f"INSERT INTO t VALUES (1, {good}), (2, {bad}), (3, {good})")
    found = read(tmp_path, tables=["t"])
    assert [row["id"] for row in found.rows] == [1, 3]
    ((reason, content),) = found.dead
    assert reason.startswith(f"column v ({declared}) has a value that ")
    assert reason.endswith("; key id=2")
    assert '"id": 2' in content.decode()


def test_an_integer_that_no_double_holds_is_a_dead_letter(tmp_path: Path) -> None:
    make(tmp_path, "CREATE TABLE t (v NUMERIC)", "INSERT INTO t VALUES (1.5), (9007199254740993), (2)")
    found = read(tmp_path, tables=["t"])
    assert found.rows == [{"v": 1.5}, {"v": 2.0}]
    assert len(found.dead) == 1


def test_all_tables_are_seen_at_the_moment_when_the_import_began(tmp_path: Path) -> None:
    make(tmp_path, "PRAGMA journal_mode=wal", "CREATE TABLE a (v INTEGER)", "CREATE TABLE b (v INTEGER)")
    make(tmp_path, "INSERT INTO a VALUES (1)", "INSERT INTO b VALUES (1)")

    def write() -> None:
        make(tmp_path, "INSERT INTO a VALUES (2)", "INSERT INTO b VALUES (2)")

    found = read(tmp_path, tables=["a", "b"], after_open=write)
    assert found.by_stream == {"main.a": [{"v": 1}], "main.b": [{"v": 1}]}


def test_columns_where_exclude_and_patterns_select(tmp_path: Path) -> None:
    make(tmp_path, "CREATE TABLE o1 (a INTEGER, b TEXT)", "CREATE TABLE o2 (a INTEGER, b TEXT)")
    make(tmp_path, "CREATE TABLE o_old (a INTEGER, b TEXT)", "INSERT INTO o1 VALUES (1, 'x'), (2, 'y')")
    found = read(tmp_path, tables=["o*"], exclude=["*_old"], columns=["b", "a"], where="a > 1 -- not the first")
    assert found.rows == [{"b": "y", "a": 2}]
    assert set(found.positions) == {"main.o1", "main.o2"}


def test_a_query_is_read_as_the_stream_query(tmp_path: Path) -> None:
    make(tmp_path, "CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (1), (2)")
    found = read(tmp_path, query="SELECT sum(a) AS total, 'x' AS \"a name\" FROM t; ")
    assert found.by_stream == {"query": [{"total": 3, "a name": "x"}]}


def test_each_table_goes_to_the_topic_that_is_named_after_it(tmp_path: Path) -> None:
    make(tmp_path, "CREATE TABLE a (v INTEGER)", "INSERT INTO a VALUES (1)")
    assert [records.topic for records in read(tmp_path, tables=["a"], topic="{schema}-{table}").records] == ["main-a"]


def test_a_table_that_is_named_later_is_imported_then(tmp_path: Path) -> None:
    make(tmp_path, "CREATE TABLE a (v INTEGER)", "CREATE TABLE b (v INTEGER)")
    make(tmp_path, "INSERT INTO a VALUES (1)", "INSERT INTO b VALUES (2)")
    first = read(tmp_path, tables=["a"])
    second = read(tmp_path, tables=["a", "b"], positions=first.positions)
    assert second.by_stream == {"main.b": [{"v": 2}]}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"tables": ["oders"]}, "did you mean main.orders?"),
        ({"tables": ["orders"], "columns": ["idd"]}, "did you mean id?"),
        ({"query": "SELEC 1"}, "syntax error"),
        ({"tables": ["orders"], "url": "sqlite:///none.db"}, "is no file"),
        ({"tables": ["orders"], "where": "nothing ="}, "syntax error"),
    ],
)
def test_what_cannot_be_read_is_said_with_a_hint(tmp_path: Path, settings: dict[str, Any], sentence: str) -> None:
    make(tmp_path, "CREATE TABLE orders (id INTEGER)")
    with pytest.raises(ConnectorError) as failure:
        read(tmp_path, **settings)
    assert sentence in str(failure.value)


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "shop.db").write_bytes(b"not a database at all, though it has a name" * 50)
    with pytest.raises(ConnectorError, match="not a database"):
        read(tmp_path, tables=["t"])
