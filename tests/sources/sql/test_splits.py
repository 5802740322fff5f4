"""Tables in pieces: each row once, about as many in each; finished pieces stay when an import is interrupted."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from importing import imported
from servers.mariadb import MariadbServer

from ingest.database_url import server_address
from ingest.errors import ConnectorError
from ingest.sources.databases.reader import Selection, TableReader
from ingest.sources.databases.splits import boundaries, pieces_by
from ingest.sources.mysql.table_reader import MysqlReader
from ingest.sources.postgres.table_reader import PostgresReader
from ingest.sources.sqlite.table_reader import SqliteReader

ROWS = """
CREATE TABLE t (
    id integer PRIMARY KEY, region text, number integer, day date, amount numeric(10,2), word text, sparse integer
)"""
COLUMNS = [["id"], ["day"], ["word"], ["amount"], ["region", "number"], ["sparse"], ["sparse", "word"], ["region"]]


def rows() -> list[tuple[Any, ...]]:
    """Skewed as real tables are: most rows in one region, ids with a gap, nulls, quotes."""
    found = []
    for number in range(2000):
        key = number if number < 1000 else number * 1_000_000
        region = "north" if number % 10 else f"it's {number % 7}"
        day = f"2026-{1 + number % 12:02}-{1 + number % 28:02}"
        sparse = None if number % 3 else number
        found.append((key % 2_000_000_011, region, number, day, number % 97 + 0.25, f"é'{number % 501}", sparse))
    return found


@pytest.fixture(params=["sqlite", "postgres", "mariadb", pytest.param("mysql", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with the table."""
    marks = ", ".join("?" * 7)
    if request.param == "sqlite":
        with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
            connection.execute(ROWS)
            connection.executemany(f"INSERT INTO t VALUES ({marks})", rows())
        return "sqlite:///shop.db"
    if request.param in ("mariadb", "mysql"):
        server: MariadbServer = request.getfixturevalue(f"own_{request.param}")
        url = server.database()
        with server.connected(url) as connection, connection.cursor() as cursor:
            cursor.execute(ROWS)
            cursor.executemany(f"INSERT INTO t VALUES ({marks.replace('?', '%s')})", rows())
            connection.commit()
        return url
    url = request.getfixturevalue("url")
    with psycopg.connect(url) as server, server.cursor() as cursor:
        cursor.execute(ROWS)
        cursor.executemany(f"INSERT INTO t VALUES ({marks.replace('?', '%s')})", rows())
    return url


def reader_of(url: str, folder: Path) -> TableReader:
    if url.startswith("sqlite"):
        return SqliteReader(folder / "shop.db", 1 << 20)
    if url.startswith("mysql"):
        return MysqlReader(url, server_address(url, 3306).database, 2, 1 << 20, print)
    return PostgresReader(url, 2, 1 << 20)


@pytest.mark.parametrize("columns", COLUMNS, ids="-".join)
def test_each_row_is_in_one_piece_whatever_divides(database: str, tmp_path: Path, columns: list[str]) -> None:
    found = imported(tmp_path, url=database, tables=["t"], split_by=columns)
    assert sorted(row["number"] for row in found.rows) == list(range(2000))


def test_pieces_have_about_as_many_rows_each(database: str, tmp_path: Path) -> None:
    reader = reader_of(database, tmp_path)
    try:
        (table,) = reader.tables(Selection(["t"]))
        pieces = pieces_by(reader, table, ["region", "number"], 8, None)
        sizes = [reader.ask(f"SELECT count(*) FROM t WHERE {piece.condition}")[0][0] for piece in pieces]
        assert len(sizes) == 8
        assert sum(sizes) == 2000
        assert max(sizes) <= 260
    finally:
        reader.close()


def test_a_large_table_is_divided_by_a_sample_of_it(url: str, tmp_path: Path) -> None:
    with psycopg.connect(url, autocommit=True) as server:
        server.execute("CREATE TABLE t AS SELECT n AS id FROM generate_series(1, 100000) n")
        server.execute("ANALYZE t")
        reader = reader_of(url, tmp_path)
        try:
            (table,) = reader.tables(Selection(["t"]))
            assert "TABLESAMPLE" in reader.sample(table, 20_000)
            pieces = pieces_by(reader, table, ["id"], 4, None)
        finally:
            reader.close()
        sizes = [server.execute(f"SELECT count(*) FROM t WHERE {piece.condition}").fetchone() for piece in pieces]
    assert sum(size for (size,) in sizes) == 100_000
    assert all(15_000 < size < 35_000 for (size,) in sizes)


def test_a_boundary_query_divides_by_width_or_by_its_rows(database: str, tmp_path: Path) -> None:
    for query in ("SELECT min(number), max(number) FROM t;", "SELECT 10 UNION SELECT 500 UNION SELECT 1999"):
        found = imported(tmp_path, url=database, tables=["t"], split_by="number", boundary_query=query)
        assert sorted(row["number"] for row in found.rows) == list(range(2000))
    with pytest.raises(ConnectorError, match="neither one row of two values nor a column"):
        imported(tmp_path, url=database, tables=["t"], split_by="number", boundary_query="SELECT 1, 2, 3")


def test_widths_of_boundaries() -> None:
    assert boundaries([(0, 100)], 4) == [[25], [50], [75]]
    assert boundaries([(5, 5)], 4) == []
    assert boundaries([(None, None)], 4) == []
    assert boundaries([(3,), (1,), (3,)], 9) == [[1], [3]]
    with pytest.raises(ConnectorError, match="no width"):
        boundaries([("a", "z")], 4)


def test_an_interrupted_import_goes_on_with_the_splits_that_are_not_done(database: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"url": database, "tables": ["t"], "resume": True, "splits": 2}
    first = imported(tmp_path, **settings, stop_after_commits=3)
    ((stream, position),) = first.positions.items()
    assert position is not None
    assert len(position["unfinished"]["done"]) == 6
    second = imported(tmp_path, **settings, positions=dict(first.positions))  # type: ignore[arg-type]  # none is None
    numbers = [row["number"] for found in (first, second) for row in found.rows]
    assert sorted(numbers) == list(range(2000))
    last = second.positions[stream]
    assert last is not None
    assert "unfinished" not in last
    assert len(last["moments"]) == 2
    assert last["rows"] == 2000
    assert imported(tmp_path, **settings, positions={stream: last}).rows == []


def test_a_part_of_an_import_is_not_taken_for_the_whole(database: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"url": database, "tables": ["t"]}
    first = imported(tmp_path, **settings, resume=True, stop_after_commits=1)
    with pytest.raises(ConnectorError, match=r"a part of .* is imported already"):
        imported(tmp_path, **settings, positions=dict(first.positions))  # type: ignore[arg-type]  # none is None
