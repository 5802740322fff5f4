"""Only what is new: no row of a transaction that commits late is lost, and none comes twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from importing import imported
from servers.mariadb import MariadbServer

from ingest.connectors.testing import SourceContract
from ingest.errors import ConnectorError
from ingest.sources.sql.connector import SqlSource
from ingest.sources.sql.settings import SqlSettings

BY_ID = {"column": "id", "mode": "append"}
BY_TIME = {"column": "changed", "mode": "modified"}


class TestContract(SourceContract):
    def source(self, folder: Path) -> SqlSource:
        return SqlSource(
            SqlSettings(url="sqlite:///shop.db", tables=["notes"], columns=["text", "id"], incremental=BY_ID, every=20)
        )

    def fill(self, folder: Path, rows: Sequence[str]) -> None:
        make(folder, "PRAGMA journal_mode=wal", "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)")
        with closing(sqlite3.connect(folder / "shop.db")) as database, database:
            database.executemany("INSERT INTO notes (text) VALUES (?)", [[row] for row in rows])

    def spoil(self, folder: Path) -> None:
        make(folder, "INSERT INTO notes (text) VALUES (x'00ff')")


def make(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "shop.db")) as database, database:
        for statement in statements:
            database.execute(statement)


class Rounds:
    """Rounds over the table ``t``, each from the position that the last one left."""

    def __init__(self, folder: Path, url: str = "sqlite:///shop.db", **incremental: Any) -> None:
        self.folder, self.url, self.incremental = folder, url, incremental
        self.positions: dict[str, Any] = {}
        self.dead: list[Any] = []

    def __call__(self, **more: Any) -> list[dict[str, Any]]:
        found = imported(
            self.folder,
            url=self.url,
            tables=["t"],
            positions=self.positions,
            incremental=self.incremental,
            **more,
        )
        self.positions |= {stream: position for stream, position in found.positions.items() if position}
        self.dead += found.dead
        return found.rows


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [row["id"] for row in rows]


def test_each_round_brings_the_rows_that_were_added(tmp_path: Path) -> None:
    make(tmp_path, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    read = Rounds(tmp_path, **BY_ID)
    assert ids(read()) == [1, 2]
    assert read() == []
    make(tmp_path, "INSERT INTO t VALUES (4, 'd')", "UPDATE t SET v = 'changed'")
    assert ids(read()) == [4]
    make(tmp_path, "DELETE FROM t", "INSERT INTO t VALUES (5, 'e')")
    assert ids(read()) == [5]


def test_a_changed_row_comes_again_and_an_unchanged_one_does_not(tmp_path: Path) -> None:
    make(tmp_path, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, changed TEXT)")
    make(tmp_path, "INSERT INTO t VALUES (1, 'a', '2026-01-01 10:00'), (2, 'b', '2026-01-01 10:00')")
    read = Rounds(tmp_path, **BY_TIME)
    assert ids(read()) == [1, 2]
    make(tmp_path, "UPDATE t SET v = 'A', changed = '2026-01-01 11:00' WHERE id = 1")
    assert read() == [{"id": 1, "v": "A", "changed": "2026-01-01 11:00"}]
    make(tmp_path, "UPDATE t SET v = 'B' WHERE id = 2", "INSERT INTO t VALUES (3, 'c', '2026-01-01 11:00')")
    assert ids(read()) == [2, 3], "2 lies in the window: it is seen although its time did not move"


@pytest.mark.parametrize("window", [0, 1, 10_000])
def test_rows_that_share_the_newest_value_come_once_each_whenever_they_come(tmp_path: Path, window: int) -> None:
    make(tmp_path, "CREATE TABLE t (id INTEGER PRIMARY KEY, day TEXT)")
    read = Rounds(tmp_path, column="day", mode="append", window=window)
    make(tmp_path, "INSERT INTO t VALUES (1, '2026-01-01'), (2, '2026-01-02')")
    assert ids(read()) == [1, 2]
    make(tmp_path, "INSERT INTO t VALUES (3, '2026-01-02')")
    assert ids(read()) == [3]
    make(tmp_path, "INSERT INTO t VALUES (4, '2026-01-02'), (5, '2026-01-03')")
    assert ids(read()) == [4, 5]
    assert read() == []


def test_the_newest_value_may_have_more_rows_than_can_be_remembered_and_that_is_said(tmp_path: Path) -> None:
    make(tmp_path, "CREATE TABLE t (id INTEGER PRIMARY KEY, day TEXT)")
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database, database:
        database.executemany("INSERT INTO t VALUES (?, 'today')", [[number] for number in range(65)])
    with pytest.raises(ConnectorError, match="remember") as caught:
        Rounds(tmp_path, column="day", mode="append", remember=1024)()
    assert "finer" in (caught.value.hint or "")
    make(tmp_path, "DELETE FROM t WHERE id = 0")
    assert len(Rounds(tmp_path, column="day", mode="append", remember=1024)()) == 64


def test_null_in_the_column_is_not_read_and_start_begins_above_a_value(tmp_path: Path) -> None:
    make(
        tmp_path, "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)", "INSERT INTO t VALUES (1, NULL), (2, 5), (3, 9)"
    )
    assert ids(Rounds(tmp_path, column="n", mode="append")()) == [2, 3]
    assert ids(Rounds(tmp_path, column="n", mode="append", start=5)()) == [3]


def test_a_refused_row_is_one_dead_letter_however_often_it_is_read(tmp_path: Path) -> None:
    make(tmp_path, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)", "INSERT INTO t VALUES (1, 'a'), (2, x'ff')")
    read = Rounds(tmp_path, **BY_ID)
    assert ids(read()) == [1]
    make(tmp_path, "INSERT INTO t VALUES (3, 'c')")
    assert ids(read()) == [3]
    assert len(read.dead) == 1


@pytest.mark.parametrize(
    ("incremental", "sentence"),
    [
        ({"column": "idd", "mode": "append"}, "idd is not selected"),
        ({"column": "v", "mode": "append"}, "no order"),
        ({"column": "id", "mode": "append", "lag": "1m"}, "lag needs a column of dates"),
        ({"column": "id", "mode": "append", "window_time": "1m"}, "window_time needs a column of dates"),
        ({"column": "id", "mode": "append", "key": ["nothing"]}, "nothing is not selected"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, incremental: dict[str, Any], sentence: str) -> None:
    make(tmp_path, "CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)", "INSERT INTO t VALUES (1, x'01')")
    with pytest.raises(ConnectorError, match=sentence):
        Rounds(tmp_path, **incremental)()


def test_a_table_without_a_key_asks_for_one(tmp_path: Path) -> None:
    make(tmp_path, "CREATE TABLE t (id INTEGER, v TEXT)", "INSERT INTO t VALUES (1, 'a')")
    with pytest.raises(ConnectorError, match="no primary key"):
        Rounds(tmp_path, **BY_ID)()
    assert ids(Rounds(tmp_path, **BY_ID, key=["id"])()) == [1]


def test_a_key_that_is_selected_in_part_is_no_key(tmp_path: Path) -> None:
    make(tmp_path, "CREATE TABLE t (id INTEGER, part INTEGER, PRIMARY KEY (id, part))", "INSERT INTO t VALUES (1, 1)")
    with pytest.raises(ConnectorError, match="not all of it is selected"):
        Rounds(tmp_path, **BY_ID)(columns=["id"])


def test_another_column_or_a_whole_import_before_is_said(tmp_path: Path) -> None:
    make(tmp_path, "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)", "INSERT INTO t VALUES (1, 1)")
    read = Rounds(tmp_path, **BY_ID)
    read()
    read.incremental = {"column": "n", "mode": "append"}
    with pytest.raises(ConnectorError, match="was read by id in mode append"):
        read()
    read.positions = dict(imported(tmp_path, url="sqlite:///shop.db", tables=["t"]).positions)
    with pytest.raises(ConnectorError, match="imported whole"):
        read()


def test_a_round_that_is_cut_goes_on_from_its_last_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.sources.sql.incremental._COMMIT_BYTES", 2000)
    make(tmp_path, "CREATE TABLE t (id INTEGER PRIMARY KEY, day INTEGER)")
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database, database:
        database.executemany("INSERT INTO t VALUES (?, ?)", [[number, number // 7] for number in range(3000)])
    read = Rounds(tmp_path, column="day", mode="append", window=50)
    taken: list[int] = []
    for _ in range(200):
        found = imported(
            tmp_path,
            url="sqlite:///shop.db",
            tables=["t"],
            positions=read.positions,
            incremental=read.incremental,
            batch_bytes=900,
            stop_after_commits=1,
        )
        if not found.records:
            break
        taken += ids(found.rows)
        read.positions |= found.positions
    assert sorted(taken) == list(range(3000))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 3), st.booleans()),
        max_size=60,
    )
)
def test_rows_that_commit_late_within_the_window_come_once(tmp_path_factory: Any, plan: list[Any]) -> None:
    """Each row takes a value now and is there some rounds later, as transactions do."""
    folder = tmp_path_factory.mktemp("late")
    make(folder, "CREATE TABLE t (id INTEGER PRIMARY KEY, tick INTEGER)")
    read = Rounds(folder, column="tick", mode="append", window=200, remember=64 * 1024)
    coming: list[tuple[int, int, int]] = []
    taken: list[int] = []
    for round_number, (tick, late, read_now) in enumerate(plan):
        coming.append((round_number + late, round_number, tick))
        due = [row for row in coming if row[0] <= round_number]
        coming = [row for row in coming if row[0] > round_number]
        for _, number, value in due:
            make(folder, f"INSERT INTO t VALUES ({number}, {value})")
        if read_now:
            taken += ids(read())
    for _, number, value in coming:
        make(folder, f"INSERT INTO t VALUES ({number}, {value})")
    taken += ids(read())
    assert sorted(taken) == list(range(len(plan)))


def test_mariadb_reads_by_id_and_by_time_of_change(mariadb: MariadbServer, tmp_path: Path) -> None:
    url = mariadb.database()
    fill = "INSERT INTO t (v) VALUES ('a'), ('b')"
    table = "CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, v text, changed timestamp(6) DEFAULT now(6))"
    mariadb.execute(table, fill, url=url)
    by_id, by_time = Rounds(tmp_path, url, **BY_ID), Rounds(tmp_path, url, **BY_TIME, window_time="1m")
    assert ids(by_id()) == ids(by_time()) == [1, 2]
    with mariadb.connected(url) as slow, slow.cursor() as cursor:
        cursor.execute("START TRANSACTION")
        cursor.execute("INSERT INTO t (v) VALUES ('slow')")
        mariadb.execute("INSERT INTO t (v) VALUES ('quick')", url=url)
        assert ids(by_id()) == ids(by_time()) == [4]
        slow.commit()
    assert ids(by_id()) == ids(by_time()) == [3]
    mariadb.execute("UPDATE t SET v = 'B', changed = now(6) WHERE id = 2", url=url)
    assert ids(by_id()) == []
    assert ids(by_time()) == [2]


class TestPostgres:
    @pytest.fixture(autouse=True)
    def _table(self, url: str) -> None:
        self.url = url
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE t (id serial PRIMARY KEY, v text, changed timestamptz DEFAULT now())")

    def test_a_row_that_commits_after_its_elders_is_neither_lost_nor_doubled(self, tmp_path: Path) -> None:
        read = Rounds(tmp_path, self.url, **BY_ID)
        with psycopg.connect(self.url) as slow, psycopg.connect(self.url, autocommit=True) as quick:
            slow.execute("INSERT INTO t (v) VALUES ('slow')")
            quick.execute("INSERT INTO t (v) VALUES ('quick')")
            assert ids(read()) == [2]
            quick.execute("INSERT INTO t (v) VALUES ('quicker')")
            slow.commit()
            assert ids(read()) == [1, 3]
            assert read() == []

    def test_a_row_that_is_overtaken_by_more_than_the_window_is_not_seen(self, tmp_path: Path) -> None:
        """Where the promise ends; the guide says so."""
        read = Rounds(tmp_path, self.url, **BY_ID, window=2)
        with psycopg.connect(self.url) as slow, psycopg.connect(self.url, autocommit=True) as quick:
            slow.execute("INSERT INTO t (v) VALUES ('slow')")
            quick.execute("INSERT INTO t (v) SELECT 'quick' FROM generate_series(1, 5)")
            assert ids(read()) == [2, 3, 4, 5, 6]
            slow.commit()
            assert read() == []

    def test_late_changes_are_seen_within_the_time_of_the_window(self, tmp_path: Path) -> None:
        read = Rounds(tmp_path, self.url, **BY_TIME, window=0, window_time="10m")
        with psycopg.connect(self.url) as slow, psycopg.connect(self.url, autocommit=True) as quick:
            slow.execute("INSERT INTO t (v) VALUES ('slow')")
            quick.execute("INSERT INTO t (v, changed) VALUES ('old', now() - interval '20 minutes'), ('quick', now())")
            assert ids(read()) == [2, 3]
            slow.execute("UPDATE t SET changed = changed")
            slow.commit()
            quick.execute("UPDATE t SET v = 'changed without a trace' WHERE id = 2")
            assert ids(read()) == [1]
            assert read() == []

    def test_lag_leaves_the_youngest_for_later(self, tmp_path: Path) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("INSERT INTO t (changed) VALUES (now() - interval '1 hour'), (now())")
        assert ids(Rounds(tmp_path, self.url, **BY_TIME, lag="10m")()) == [1]

    @pytest.mark.parametrize(
        ("declared", "values"),
        [
            ("bigint", ["-9223372036854775808", "0", "9223372036854775807"]),
            ("numeric", ["9", "10", "10.5"]),
            ("numeric(12,3)", ["-1.5", "9", "10.125"]),
            ("date", ["'0044-03-15'", "'2026-01-31'", "'9999-12-31'"]),
            ("timestamp", ["'2026-01-31 12:00:00.000001'", "'2026-01-31 12:00:00.000002'"]),
            ("timestamptz", ["'2026-01-31 12:00+05'", "'2026-01-31 12:00+00'"]),
            ("text", ["''", "'O''Brien'", "'é'"]),
            ("double precision", ["-1e300", "0.1", "1e300"]),
            ("uuid", ["'00000000-0000-0000-0000-000000000001'", "'ffffffff-0000-0000-0000-000000000000'"]),
        ],
    )
    def test_columns_of_many_types_can_grow(self, tmp_path: Path, declared: str, values: list[str]) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("DROP TABLE t")
            connection.execute(f"CREATE TABLE t (n serial PRIMARY KEY, id {declared})")
            read = Rounds(tmp_path, self.url, **BY_ID, window=0)
            for number, value in enumerate(values, 1):
                connection.execute(f"INSERT INTO t (id) VALUES ({value})")
                assert [row["n"] for row in read()] == [number]
                assert read() == []
