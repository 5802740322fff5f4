"""Changes of SQLite tables as records: rows first, then every change, nothing missing and nothing twice."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ingest.connectors import EndOfInput, Polled, Position, SourceContext
from ingest.connectors.testing import SourceContract
from ingest.environment import Environment
from ingest.errors import ConnectorError, PositionLost
from ingest.sources.sqlite_cdc import capture
from ingest.sources.sqlite_cdc.connector import SqliteCdcSource
from ingest.sources.sqlite_cdc.settings import SqliteCdcSettings

ORDERS = "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, word TEXT)"


class TestContract(SourceContract):
    def source(self, folder: Path) -> SqliteCdcSource:
        return SqliteCdcSource(SqliteCdcSettings(url="sqlite:///shop.db", tables=["orders"]))

    def fill(self, folder: Path, rows: Sequence[str]) -> None:
        do(folder, ORDERS)
        install(folder)
        with closing(sqlite3.connect(folder / "shop.db")) as database, database:
            database.executemany("INSERT INTO orders (word) VALUES (?)", [[row] for row in rows])

    def spoil(self, folder: Path) -> None:
        do(folder, "INSERT INTO orders (word) VALUES (x'00ff')")

    def text(self, value: Any) -> str:
        return str(value["after"]["word"])


def do(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "shop.db")) as database, database:
        for statement in statements:
            database.execute(statement)


def install(folder: Path, *tables: str, new_id: str = "first") -> None:
    with capture.opened(folder / "shop.db") as database:
        capture.install(database, tables or ["*"], [], lambda: new_id)


class Run:
    """One run of the source up to where it has caught up; ``steps`` are what would be one hub transaction each."""

    def __init__(self, folder: Path, positions: Mapping[str, Position] | None = None, **settings: Any) -> None:
        self.positions: dict[str, Position] = dict(positions or {})
        self.steps: list[list[Polled]] = [[]]
        given = {"url": "sqlite:///shop.db", "tables": ["*"], **settings}
        task = SqliteCdcSource(SqliteCdcSettings(**given)).tasks(1)[0]
        context = SourceContext("in", folder, Environment(), until_caught_up=True, topic="{table}")
        try:
            task.open(context, self.positions)
            while True:
                polled = task.poll()
                if polled is None:
                    continue
                self.steps[-1].append(polled)
                if not polled.open:
                    self.steps.append([])
                    self.positions |= {key: value for key, value in polled.positions.items() if value is not None}
                    task.committed(polled.positions)
        except EndOfInput:
            pass
        finally:
            task.close()

    def values(self, topic: str = "orders") -> list[Any]:
        """Of all records, tombstones as None."""
        polled = [part for step in self.steps for part in step]
        return [
            value
            for part in polled
            for records in part.records
            if records.topic == topic
            for value in records.value.to_pylist()
        ]

    def changes(self, topic: str = "orders") -> list[Any]:
        return [None if each is None else (each["op"], each["before"], each["after"]) for each in self.values(topic)]

    @property
    def dead(self) -> list[str]:
        polled = [part for step in self.steps for part in step]
        return [reason for part in polled for dead in part.dead for reason in dead.reasons]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    do(tmp_path, ORDERS, "CREATE TABLE people (name TEXT PRIMARY KEY, born DATE)")
    install(tmp_path)
    return tmp_path


ONE, TWO = {"id": 1, "word": "one"}, {"id": 1, "word": "two"}


def test_rows_come_first_then_changes(folder: Path) -> None:
    do(folder, "INSERT INTO orders VALUES (1, 'one')")
    first = Run(folder)
    assert first.changes() == [("r", None, ONE)]
    do(folder, "UPDATE orders SET word = 'two'", "DELETE FROM orders")
    assert Run(folder, first.positions).changes() == [("u", ONE, TWO), ("d", TWO, None), None]


def test_changes_before_the_rows_were_read_are_in_the_rows(folder: Path) -> None:
    do(folder, "INSERT INTO orders VALUES (1, 'one')", "UPDATE orders SET word = 'two'")
    first = Run(folder)
    assert first.changes() == [("r", None, TWO)]
    assert Run(folder, first.positions).changes() == []


def test_the_rows_of_all_tables_are_one_step(folder: Path) -> None:
    do(folder, "INSERT INTO orders VALUES (1, 'one')", "INSERT INTO people VALUES ('Ann', '2000-01-31')")
    step, *rest = Run(folder).steps
    assert [part.open for part in step] == [True, True, False]
    assert rest == [[]]


def test_without_rows_every_change_since_the_installation_comes(folder: Path) -> None:
    do(folder, "INSERT INTO orders VALUES (1, 'one')", "UPDATE orders SET word = 'two'")
    assert Run(folder, snapshot="never").changes() == [("c", None, ONE), ("u", ONE, TWO)]


def test_rows_only_ends_after_the_rows(folder: Path) -> None:
    do(folder, "INSERT INTO orders VALUES (1, 'one')")
    first = Run(folder, snapshot="only")
    do(folder, "DELETE FROM orders")
    assert Run(folder, first.positions, snapshot="only").changes() == []


def test_a_table_that_is_added_later_is_read_alone(folder: Path) -> None:
    do(folder, "INSERT INTO orders VALUES (1, 'one')", "INSERT INTO people VALUES ('Ann', NULL)")
    first = Run(folder, tables=["orders"])
    second = Run(folder, first.positions, tables=["orders", "people"])
    assert second.changes() == []
    assert second.changes("people") == [("r", None, {"name": "Ann", "born": None})]


def test_what_is_committed_is_removed_from_the_database(folder: Path) -> None:
    do(folder, "INSERT INTO orders VALUES (1, 'one')")
    Run(folder)
    with capture.opened(folder / "shop.db") as database:
        assert capture.waiting(database, "orders") == 0


def test_a_column_without_a_decisive_type_learns_from_its_values(folder: Path) -> None:
    first = Run(folder)
    do(folder, "INSERT INTO people VALUES ('Ann', 7)")
    second = Run(folder, first.positions)
    assert second.changes("people") == [("c", None, {"name": "Ann", "born": 7})]
    do(folder, "INSERT INTO people VALUES ('Bob', 1.5)")
    third = Run(folder, second.positions)
    assert third.changes("people") == [("c", None, {"name": "Bob", "born": 1.5})]


def test_a_value_that_is_not_of_its_columns_type_is_a_dead_letter(folder: Path) -> None:
    first = Run(folder)
    do(
        folder,
        "INSERT INTO orders VALUES (1, 'one')",
        "UPDATE orders SET word = x'00'",
        "UPDATE orders SET word = 'two'",
    )
    second = Run(folder, first.positions)
    assert second.changes() == [("c", None, ONE)]
    assert len(second.dead) == 2
    assert second.dead[0].endswith("column word (TEXT) has a value that string cannot hold; key id=1")


def test_a_table_that_is_not_captured_is_told_with_the_command(folder: Path) -> None:
    do(folder, "CREATE TABLE more (x)")
    with pytest.raises(ConnectorError, match="changes of more are not written down") as caught:
        Run(folder, tables=["more"])
    assert caught.value.hint == "ingest capture install sqlite:///shop.db more"


def test_a_table_that_got_a_column_stops_the_source(folder: Path) -> None:
    first = Run(folder)
    do(folder, "ALTER TABLE orders ADD COLUMN price REAL")
    with pytest.raises(ConnectorError, match="other columns now: price"):
        Run(folder, first.positions)
    install(folder)
    do(folder, "INSERT INTO orders VALUES (1, 'one', 2.5)")
    assert Run(folder, first.positions).changes() == [("c", None, ONE | {"price": 2.5})]


def test_a_table_that_was_made_again_stops_the_source(folder: Path) -> None:
    first = Run(folder)
    do(folder, "DROP TABLE orders", ORDERS)
    with pytest.raises(ConnectorError, match="dropped and made again"):
        Run(folder, first.positions)


def test_an_older_copy_of_the_database_is_noticed(folder: Path) -> None:
    shutil.copy(folder / "shop.db", folder / "old.db")
    do(folder, "INSERT INTO orders VALUES (1, 'one')")
    first = Run(folder)
    shutil.copy(folder / "old.db", folder / "shop.db")
    with pytest.raises(PositionLost, match="an older copy"):
        Run(folder, first.positions)


def test_changes_that_somebody_else_took_are_noticed(folder: Path) -> None:
    first = Run(folder)
    do(folder, "INSERT INTO orders VALUES (1, 'one')")
    Run(folder, first.positions)
    do(folder, "INSERT INTO orders VALUES (2, 'two')")
    with pytest.raises(PositionLost, match="somebody else"):
        Run(folder, first.positions)


def test_a_capture_that_was_installed_anew_is_noticed(folder: Path) -> None:
    first = Run(folder)
    with capture.opened(folder / "shop.db") as database:
        capture.remove(database)
    install(folder, new_id="second")
    with pytest.raises(PositionLost, match="captured anew"):
        Run(folder, first.positions)


def test_changes_are_read_while_another_program_writes(folder: Path) -> None:
    do(folder, "PRAGMA journal_mode = wal", "INSERT INTO orders VALUES (1, 'one')")
    with closing(sqlite3.connect(folder / "shop.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO orders VALUES (2, 'unseen')")
        first = Run(folder, poll="1ms")
        assert first.changes() == [("r", None, ONE)]
        other.execute("COMMIT")
    assert [op for op, *_ in Run(folder, first.positions).changes()] == ["c"]


def test_a_stop_while_it_waits_is_quick(folder: Path) -> None:
    stopping = threading.Event()
    task = SqliteCdcSource(SqliteCdcSettings(url="sqlite:///shop.db", tables=["orders"], poll="1h")).tasks(1)[0]
    task.open(SourceContext("in", folder, Environment(), stopping=stopping), {})
    assert task.poll() is not None, "the step of the rows"
    threading.Timer(0.05, stopping.set).start()
    assert task.poll() is None
    task.close()


def test_heartbeats_come_beside_the_changes(folder: Path) -> None:
    do(folder, "INSERT INTO orders VALUES (1, 'one')")
    found = Run(folder, snapshot="never", heartbeat="1h")
    assert [sorted(value) for value in found.values("heartbeat.in")] == [["ts_ms"]]
    assert found.changes() == [("c", None, ONE)]
