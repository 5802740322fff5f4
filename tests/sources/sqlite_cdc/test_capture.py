"""What triggers write down: every change, whoever makes it, exactly as it was."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import ConnectorError
from ingest.sources.sqlite_cdc import capture

Change = tuple[str, tuple[Any, ...] | None, tuple[Any, ...] | None]


class Shop:
    """A database, and what is captured of it."""

    def __init__(self, path: Path, *tables: str) -> None:
        self.path = path
        self.database = sqlite3.connect(path, isolation_level=None)
        for table in tables:
            self.database.execute(table)
        if tables:
            self.install("*")

    def install(self, *patterns: str) -> list[str]:
        with capture.opened(self.path) as database:
            return capture.install(database, patterns, [], lambda: "id")

    def do(self, *statements: str) -> None:
        for statement in statements:
            self.database.execute(statement)

    def changes(self, table: str) -> list[Change]:
        rows = self.database.execute(f"SELECT * FROM {capture.changes_table(table)} ORDER BY id").fetchall()
        width = (len(rows[0]) - 3) // 2 if rows else 0
        return [
            (op, None if op == "c" else tuple(values[:width]), None if op == "d" else tuple(values[width:]))
            for _, _, op, *values in rows
        ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


ORDERS = "CREATE TABLE orders (id INTEGER PRIMARY KEY, code TEXT UNIQUE, n)"


def test_inserts_updates_and_deletes_are_written_down_with_their_values(path: Path) -> None:
    shop = Shop(path, ORDERS)
    shop.do(
        "INSERT INTO orders VALUES (1, 'a', x'00ff')",
        "UPDATE orders SET n = 1.5",
        "UPDATE orders SET id = 7",
        "DELETE FROM orders",
    )
    assert shop.changes("orders") == [
        ("c", None, (1, "a", b"\0\xff")),
        ("u", (1, "a", b"\0\xff"), (1, "a", 1.5)),
        ("u", (1, "a", 1.5), (7, "a", 1.5)),
        ("d", (7, "a", 1.5), None),
    ]


def test_a_change_that_is_rolled_back_is_not_there(path: Path) -> None:
    shop = Shop(path, ORDERS)
    shop.do("BEGIN", "INSERT INTO orders VALUES (1, 'a', 1)", "ROLLBACK", "INSERT INTO orders VALUES (2, 'a', 1)")
    assert shop.changes("orders") == [("c", None, (2, "a", 1))]


@pytest.mark.parametrize("recursive", [False, True])
def test_rows_that_replace_removes_are_deleted(path: Path, recursive: bool) -> None:
    shop = Shop(path, ORDERS)
    shop.do(
        f"PRAGMA recursive_triggers = {recursive}",
        "INSERT INTO orders VALUES (1, 'a', 1), (2, 'b', 2)",
        "REPLACE INTO orders VALUES (3, 'b', 3)",
        "UPDATE OR REPLACE orders SET code = 'b' WHERE id = 1",
    )
    assert shop.changes("orders")[2:] == [
        ("d", (2, "b", 2), None),
        ("c", None, (3, "b", 3)),
        ("d", (3, "b", 3), None),
        ("u", (1, "a", 1), (1, "b", 1)),
    ]


def test_a_row_that_replaces_the_one_of_its_key_is_an_update(path: Path) -> None:
    shop = Shop(path, ORDERS)
    shop.do("INSERT INTO orders VALUES (1, 'a', 1)", "REPLACE INTO orders VALUES (1, 'z', 2)")
    assert shop.changes("orders")[1:] == [("u", (1, "a", 1), (1, "z", 2))]


def test_an_insert_that_is_ignored_leaves_nothing(path: Path) -> None:
    shop = Shop(path, ORDERS)
    shop.do(
        "INSERT INTO orders VALUES (1, 'a', 1)",
        "INSERT OR IGNORE INTO orders VALUES (1, 'b', 2)",
        "UPDATE orders SET n = 5",
    )
    assert shop.changes("orders")[1:] == [("u", (1, "a", 1), (1, "a", 5))]


def test_an_upsert_is_an_update(path: Path) -> None:
    shop = Shop(path, ORDERS)
    upsert = "INSERT INTO orders VALUES (1, 'a', {}) ON CONFLICT (id) DO UPDATE SET n = excluded.n"
    shop.do(upsert.format(1), upsert.format(2))
    assert shop.changes("orders") == [("c", None, (1, "a", 1)), ("u", (1, "a", 1), (1, "a", 2))]


def test_rows_that_a_foreign_key_deletes_are_written_down(path: Path) -> None:
    lines = "CREATE TABLE lines (id INTEGER PRIMARY KEY, o REFERENCES orders ON DELETE CASCADE)"
    shop = Shop(path, ORDERS, lines)
    shop.do("PRAGMA foreign_keys = on", "INSERT INTO orders VALUES (1, 'a', 1)", "INSERT INTO lines VALUES (5, 1)")
    shop.do("DELETE FROM orders")
    assert shop.changes("lines")[1:] == [("d", (5, 1), None)]


@pytest.mark.parametrize(
    "table",
    [
        "CREATE TABLE t (k TEXT PRIMARY KEY, v) WITHOUT ROWID",
        "CREATE TABLE t (k, v)",
        "CREATE TABLE t (rowid, oid)",
        'CREATE TABLE t ("a ""quoted"" name" TEXT PRIMARY KEY, "select")',
        "CREATE TABLE t (k TEXT, v INT, PRIMARY KEY (v, k))",
    ],
)
def test_tables_of_every_make_are_captured(path: Path, table: str) -> None:
    shop = Shop(path, table)
    shop.do("REPLACE INTO t VALUES ('k', 1)", "DELETE FROM t")
    assert shop.changes("t") == [("c", None, ("k", 1)), ("d", ("k", 1), None)]


def test_a_program_keeps_its_own_last_row_id(path: Path) -> None:
    shop = Shop(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    shop.do("INSERT INTO t VALUES (40, 1)", "DELETE FROM t")
    assert shop.database.execute("INSERT INTO t (v) VALUES (1)").lastrowid == 1


def test_installing_again_changes_nothing(path: Path) -> None:
    shop = Shop(path, ORDERS)
    shop.do("INSERT INTO orders VALUES (1, 'a', 1)")
    assert shop.install("orders") == []
    assert len(shop.changes("orders")) == 1


def test_a_new_column_is_captured_once_it_is_installed_again(path: Path) -> None:
    shop = Shop(path, ORDERS)
    shop.do("INSERT INTO orders VALUES (1, 'a', 1)", "ALTER TABLE orders ADD COLUMN more")
    with pytest.raises(ConnectorError, match="1 changes of it were not read yet"):
        shop.install("orders")
    shop.do(f"DELETE FROM {capture.changes_table('orders')}")
    assert shop.install("orders") == ["orders"]
    shop.do("UPDATE orders SET more = 2")
    assert shop.changes("orders") == [("u", (1, "a", 1, None), (1, "a", 1, 2))]
    assert capture.last_change(shop.database, "orders") == 2, "numbers are never used again"


def test_removing_leaves_nothing_behind(path: Path) -> None:
    shop = Shop(path, ORDERS, "CREATE TABLE t (x)")
    with capture.opened(path) as database:
        assert capture.remove(database, ["t"]) == ["t"]
        assert [each.table for each in capture.installed(database)] == ["orders"]
        assert capture.remove(database) == ["orders"]
    assert not shop.database.execute("SELECT name FROM sqlite_schema WHERE name GLOB '_ingest*'").fetchall()


def test_a_name_that_is_not_there_is_told(path: Path) -> None:
    shop = Shop(path, ORDERS)
    with pytest.raises(ConnectorError) as caught:
        shop.install("ordres")
    assert caught.value.hint == "did you mean main.orders?"


def test_a_unique_index_on_an_expression_is_refused(path: Path) -> None:
    shop = Shop(path)
    shop.do(ORDERS, "CREATE UNIQUE INDEX small ON orders (lower(code))")
    with pytest.raises(ConnectorError, match="on an expression, small"):
        shop.install("orders")


VALUES = st.sampled_from(["NULL", "1", "2", "3", "'a'", "'b'"])
KEYS = st.sampled_from(["1", "2", "3", "4"])
CONFLICTS = st.sampled_from(["REPLACE", "IGNORE", "ABORT"])
STATEMENTS = st.one_of(
    st.builds("INSERT OR {} INTO t VALUES ({}, {}, {})".format, CONFLICTS, KEYS, VALUES, VALUES),
    st.builds("INSERT INTO t VALUES ({}, {}, {}) ON CONFLICT DO UPDATE SET b = 9".format, KEYS, VALUES, VALUES),
    st.builds("INSERT OR REPLACE INTO t (u, b) VALUES ({}, {})".format, VALUES, VALUES),
    st.builds("UPDATE OR {} t SET id = {} WHERE id = {}".format, st.sampled_from(["REPLACE", "IGNORE"]), KEYS, KEYS),
    st.builds("UPDATE OR REPLACE t SET u = {} WHERE id <= {}".format, VALUES, KEYS),
    st.builds("DELETE FROM t WHERE id >= {}".format, KEYS),
    st.sampled_from(["BEGIN", "COMMIT", "ROLLBACK"]),
)


@settings(max_examples=150, deadline=None)
@given(statements=st.lists(STATEMENTS, max_size=30), recursive=st.booleans())
def test_the_changes_replayed_are_the_table(
    tmp_path_factory: pytest.TempPathFactory, statements: list[str], recursive: bool
) -> None:
    shop = Shop(tmp_path_factory.mktemp("replay") / "shop.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, u UNIQUE, b)")
    shop.do(f"PRAGMA recursive_triggers = {recursive}")
    for statement in statements:
        try:
            shop.do(statement)
        except sqlite3.Error:
            continue  # a constraint, or no transaction to end: the program goes on
    if shop.database.in_transaction:
        shop.do("COMMIT")
    state: dict[Any, tuple[Any, ...]] = {}
    for op, before, after in shop.changes("t"):
        if before is not None:
            assert state.pop(before[0]) == before, op
        if after is not None:
            assert after[0] not in state, op
            state[after[0]] = after
    rows = shop.database.execute("SELECT * FROM t ORDER BY id").fetchall()
    assert [state[key] for key in sorted(state)] == rows
    shop.database.close()
