"""Rows of SQLite: the compiled kernel against its twin, and which of the two reads."""

from __future__ import annotations

import os
import sqlite3
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from needs import needs

from ingest.errors import SystemUnavailable
from ingest.sources.databases.reader import Finished, Selection
from ingest.sources.databases.tables import ColumnInfo, quoted
from ingest.sources.sqlite import library
from ingest.sources.sqlite.columns import text_of
from ingest.sources.sqlite.library import Opened, opened
from ingest.sources.sqlite.row_batches import batches
from ingest.sources.sqlite.table_reader import SqliteReader

KINDS = [pa.int64(), pa.float64(), pa.string(), pa.binary()]
NUMBERS = [0, 1, -1, 2**53, 2**53 + 1, -(2**53), -(2**53) - 1, 2**63 - 1, -(2**63)]
VALUES = st.one_of(
    st.none(),
    st.sampled_from(NUMBERS),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.text("aé🙂\0", max_size=20),
    st.binary(max_size=20),
    st.binary(max_size=20).map(lambda content: ("not UTF-8", content)),
)


@pytest.fixture(autouse=True)
def kernel_is_reached() -> None:
    needs(not library.reached(), "the compiled kernel of SQLite's rows")


def both(connect: Callable[[], sqlite3.Connection] = lambda: sqlite3.connect(":memory:")) -> tuple[Opened, Opened]:
    """One connection, to be read by the kernel and by its twin."""
    found = opened(connect)
    found.connection.text_factory = text_of
    assert found.handle, found.missing
    return found, Opened(found.connection, 0, "the twin")


def read(
    found: Opened, query: str, kinds: Sequence[pa.DataType], size_bytes: int = 1 << 20
) -> tuple[pa.Table, list[int]]:
    columns = [ColumnInfo(f"c{place}", "", kind, f"c{place}") for place, kind in enumerate(kinds)]
    schema = pa.schema([(column.name, column.type) for column in columns])
    tables, refused = [], []
    for batch, bad in batches(found, query, columns, size_bytes):
        batch.validate(full=True)
        assert len(batch) == len(bad) > 0
        tables.append(batch)
        refused += bad.tolist()
    return pa.Table.from_batches(tables, schema), refused


def bits(table: pa.Table) -> list[list[object]]:
    """Values that differ where a float's bits differ."""
    columns = [column.to_pylist() for column in table.columns]
    return [[struct.pack("d", value) if isinstance(value, float) else value for value in column] for column in columns]


@given(st.data(), st.sampled_from(["UTF-8", "UTF-16le"]), st.sampled_from([1, 40, 200, 1 << 20]))
def test_kernel_and_twin_read_any_values_alike(data: st.DataObject, encoding: str, size_bytes: int) -> None:
    kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))
    rows = data.draw(st.lists(st.tuples(*[VALUES] * len(kinds)), max_size=12))
    kernel, twin = both()
    with closing(kernel.connection) as database:
        database.execute(f"PRAGMA encoding = '{encoding}'")
        database.execute(f"CREATE TABLE t ({', '.join(f'c{place}' for place in range(len(kinds)))})")
        for row in rows:
            marks = ", ".join("CAST(? AS TEXT)" if isinstance(value, tuple) else "?" for value in row)
            values = [value[1] if isinstance(value, tuple) else value for value in row]
            database.execute(f"INSERT INTO t VALUES ({marks})", values)
        ours, theirs = (read(each, "SELECT * FROM t", kinds, size_bytes) for each in (kernel, twin))
    assert bits(ours[0]) == bits(theirs[0])
    assert ours[1] == theirs[1]
    assert len(ours[1]) == len(rows)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_kernel_and_twin_refuse_alike_at_the_edges(kind: pa.DataType) -> None:
    kernel, twin = both()
    values = [
        *NUMBERS,
        0.0,
        -0.0,
        float("inf"),
        2.0**53,
        5e-324,
        "",
        "a",
        "1",
        "\ud7ff\U0010ffff",
        b"",
        b"\0",
        b"\xff",
        None,
    ]
    texts = [b"abcdefg\xff", b"abcdefgh\xff", b"\xed\xa0\x80", b"\xc3", b"\xc0\x80"]
    with closing(kernel.connection) as database:
        database.execute("CREATE TABLE t (c0)")
        database.executemany("INSERT INTO t VALUES (?)", [[value] for value in values])
        database.executemany("INSERT INTO t VALUES (CAST(? AS TEXT))", [[text] for text in texts])
        ours, theirs = (read(each, "SELECT * FROM t", [kind]) for each in (kernel, twin))
    assert bits(ours[0]) == bits(theirs[0])
    assert ours[1] == theirs[1]
    assert 0 < sum(ours[1]) < len(ours[1])


def test_more_rows_than_a_batch_holds_come_all_and_in_order() -> None:
    numbers = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 200000)"
    kernel, _ = both()
    with closing(kernel.connection):
        found, refused = read(kernel, f"{numbers} SELECT n, n / 2.0, 'row ' || n FROM c", KINDS[:3], 64 << 20)
    assert found.column(0).to_pylist() == list(range(1, 200_001))
    assert found.column(1).to_pylist() == [number / 2 for number in range(1, 200_001)]
    assert found.column(2).to_pylist() == [f"row {number}" for number in range(1, 200_001)]
    assert not any(refused)


def test_no_batch_is_larger_than_asked_for_unless_one_row_is() -> None:
    kernel, _ = both()
    lengths = [10, 900, 10, 5000, 400, 400, 400, 0, 1000]
    columns = [ColumnInfo("c0", "", pa.binary(), "c0")]
    with closing(kernel.connection) as database:
        database.execute("CREATE TABLE t (c0 BLOB)")
        database.executemany("INSERT INTO t VALUES (zeroblob(?))", [[length] for length in lengths])
        found = [batch.column(0).to_pylist() for batch, _ in batches(kernel, "SELECT c0 FROM t", columns, 1000)]
    assert [len(value) for batch in found for value in batch] == lengths
    assert all(len(batch) == 1 or sum(len(value) + 8 for value in batch) <= 1000 for batch in found)
    assert len(found) == 5


def test_a_value_of_many_megabytes_is_what_it_was() -> None:
    kernel, _ = both()
    text = "é\0" * (8 << 20)
    with closing(kernel.connection) as database:
        database.execute("CREATE TABLE t (c0 TEXT, c1 BLOB)")
        database.execute("INSERT INTO t VALUES (?, ?)", [text, text.encode()])
        found, _ = read(kernel, "SELECT * FROM t", [pa.string(), pa.binary()], 1000)
    assert found.to_pylist() == [{"c0": text, "c1": text.encode()}]


def test_what_an_earlier_row_held_is_not_left_under_a_null() -> None:
    kernel, _ = both()
    columns = [ColumnInfo("c0", "", pa.int64(), "c0")]
    with closing(kernel.connection):
        query = "SELECT 42 UNION ALL SELECT NULL UNION ALL SELECT 'x'"
        found = [batch.column(0).buffers()[1].to_pybytes() for batch, _ in batches(kernel, query, columns, 1)]
    assert found == [(42).to_bytes(8, "little"), bytes(8), bytes(8)]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("SELECT none", "no such column"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("", "one statement"),
        ("SELECT 1 \0", "null character"),
        ("SELECT 1, 2", "1 columns were expected"),
        ("SELECT abs(-9223372036854775807 - 1)", "integer overflow"),
    ],
)
def test_a_statement_that_fails_says_why(query: str, sentence: str) -> None:
    kernel, _ = both()
    with closing(kernel.connection), pytest.raises(sqlite3.Error, match=sentence):
        read(kernel, query, [pa.int64()])


def test_a_closed_connection_is_not_read() -> None:
    kernel, _ = both()
    kernel.connection.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        read(kernel, "SELECT 1", [pa.int64()])


def test_rows_that_are_left_half_way_do_not_hold_the_connection(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    kernel, _ = both(lambda: sqlite3.connect(path, isolation_level=None))
    columns = [ColumnInfo("c0", "", pa.int64(), "c0")]
    with closing(kernel.connection) as database:
        database.execute("CREATE TABLE t (c0 INTEGER)")
        database.execute("INSERT INTO t VALUES (1), (2)")
        found = batches(kernel, "SELECT c0 FROM t", columns, 1)
        next(found)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            database.execute("DROP TABLE t")
        found.close()
        database.execute("DROP TABLE t")


def test_other_threads_run_while_a_statement_steps_and_may_interrupt_it() -> None:
    kernel, _ = both(lambda: sqlite3.connect(":memory:", check_same_thread=False))
    ended = threading.Event()

    def interrupt() -> None:
        while not ended.wait(0.01):
            kernel.connection.interrupt()

    other = threading.Thread(target=interrupt)
    endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT sum(n % 2) FROM c"
    with closing(kernel.connection):
        other.start()
        try:
            with pytest.raises(sqlite3.OperationalError, match="interrupted"):
                read(kernel, endless, [pa.int64()])
        finally:
            ended.set()
            other.join()


def test_each_thread_learns_of_its_own_connection(tmp_path: Path) -> None:
    """Connections that others open meanwhile are told of too, and are not ours."""
    stop, opened_elsewhere = threading.Event(), []

    def open_others() -> None:
        while not stop.is_set():
            with closing(sqlite3.connect(tmp_path / "other.db")) as other:
                opened_elsewhere.append(other.execute("SELECT 1").fetchone())

    thread = threading.Thread(target=open_others)
    thread.start()
    try:
        for number in range(200):
            kernel, _ = both()
            with closing(kernel.connection) as database:
                database.execute(f"CREATE TABLE mine AS SELECT {number} AS c0")
                assert read(kernel, "SELECT c0 FROM mine", [pa.int64()])[0].to_pylist() == [{"c0": number}]
    finally:
        stop.set()
        thread.join()
    assert opened_elsewhere


def make(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)


def parts(reader: SqliteReader, *tables: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    with closing(reader):
        reader.start(reader.tables(Selection(tables=list(tables))))
        while True:
            try:
                part = reader.next_part(0)
            except Finished:
                return found
            assert part is not None
            found += part.rows.to_pylist()


def test_a_reader_says_why_it_reads_slowly_and_says_nothing_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "shop.db", "CREATE TABLE t (v INTEGER)", "INSERT INTO t VALUES (1)")
    said: list[str] = []
    assert parts(SqliteReader(tmp_path / "shop.db", 1000, said.append), "t") == [{"v": 1}]
    assert said == []
    monkeypatch.setattr("ingest.sources.sqlite.library.reached", lambda: "for a test")
    assert parts(SqliteReader(tmp_path / "shop.db", 1000, said.append), "t") == [{"v": 1}]
    assert said == ["SQLite is read by Python's sqlite3, several times slower: for a test"]


def test_a_library_that_does_not_open_the_connection_is_not_used() -> None:
    """It would be a second SQLite in the process. A connection that is there already is one it did not open."""
    with closing(sqlite3.connect(":memory:")) as before:
        found = opened(lambda: before)
    assert found.handle == 0
    assert found.missing == "the SQLite that Python uses cannot be reached"


def test_a_library_without_the_functions_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_libraries", lambda: iter([library.ctypes.CDLL("libc.so.6")]))
    assert library.reached.__wrapped__() == "no library has SQLite's functions"


def test_the_twin_reads_where_it_is_asked_for() -> None:
    program = "from ingest.sources.sqlite import library; print(library.reached())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "INGEST_PURE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "the kernel is not there (INGEST_PURE is set)"


def test_a_writer_that_holds_the_database_makes_the_reader_come_back(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    make(path, "CREATE TABLE t (v INTEGER)", "INSERT INTO t VALUES (1)")
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SystemUnavailable, match="locked"):
            parts(SqliteReader(path, 1000), "t")
        writer.execute("COMMIT")
    assert parts(SqliteReader(path, 1000), "t") == [{"v": 1}]


def test_rows_are_read_in_the_transaction_that_described_them(tmp_path: Path) -> None:
    """Tables that are changed, dropped and made anew meanwhile are what they were, to the last batch."""
    path = tmp_path / "shop.db"
    make(path, "PRAGMA journal_mode = wal", "CREATE TABLE a (v INTEGER)", "CREATE TABLE b (v INTEGER)")
    make(path, "INSERT INTO a VALUES (1), (2)", "INSERT INTO b VALUES (3), (4)")
    with closing(SqliteReader(path, 1)) as reader:
        reader.start(reader.tables(Selection(tables=["a", "b"])))
        found = [reader.next_part(0)]
        make(path, "DROP TABLE b", "CREATE TABLE b (w TEXT)", "ALTER TABLE a ADD COLUMN more TEXT", "DELETE FROM a")
        found += [reader.next_part(0) for _ in range(3)]
        with pytest.raises(Finished):
            reader.next_part(0)
    assert [part.rows.to_pylist() for part in found if part] == [[{"v": 1}], [{"v": 2}], [{"v": 3}], [{"v": 4}]]


@pytest.mark.parametrize("later", ["'x'", "1", "1.5", "x'00'", "NULL"])
@pytest.mark.parametrize("first", ["'x'", "1", "1.5", "x'00'", "NULL"])
def test_a_value_behind_the_first_thousand_decides_a_type_as_one_before(tmp_path: Path, first: str, later: str) -> None:
    meant = {"'x'": pa.string(), "1": pa.int64(), "1.5": pa.float64(), "x'00'": pa.binary(), "NULL": pa.string()}
    expected = meant[first] if first == later else pa.string()
    if "NULL" in (first, later):
        expected = meant[later if first == "NULL" else first]
    elif {first, later} == {"1", "1.5"}:
        expected = pa.float64()
    make(tmp_path / "shop.db", 'CREATE TABLE t ("a ""name""", other)')
    filler = f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1500) SELECT {first}, 1 FROM c"
    make(tmp_path / "shop.db", f"INSERT INTO t {filler}", f"INSERT INTO t VALUES ({later}, 1)")
    with closing(SqliteReader(tmp_path / "shop.db", 1000)) as reader:
        (table,) = reader.tables(Selection(tables=["t"]))
    assert [column.type for column in table.columns] == [expected, pa.int64()]
    assert table.columns[0].expression == quoted('a "name"')
    assert np.all([column.database_type == "no type" for column in table.columns])
