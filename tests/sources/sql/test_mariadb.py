"""MariaDB into records: each type exactly, all tables at one moment, several ranges at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pymysql
import pytest
from importing import imported
from mariadb_types import REFUSED, types_of
from servers.mariadb import MariadbServer

from ingest.connectors import SourceContext
from ingest.connectors.testing import SourceContract
from ingest.environment import Environment
from ingest.errors import ConnectorError, SystemUnavailable
from ingest.sources.sql.connector import SqlSource
from ingest.sources.sql.settings import SqlSettings


class TestContract(SourceContract):
    follows = False

    @pytest.fixture(autouse=True)
    def _database(self, mariadb: MariadbServer) -> None:
        self.server, self.url = mariadb, mariadb.database()

    def source(self, folder: Path) -> SqlSource:
        return SqlSource(SqlSettings(url=self.url, tables=["notes"], columns=["text", "day"]))

    def fill(self, folder: Path, rows: Sequence[str]) -> None:
        create = "CREATE TABLE IF NOT EXISTS notes (id integer AUTO_INCREMENT PRIMARY KEY, text text, day date)"
        self.server.execute(create, url=self.url)
        with self.server.connected(self.url) as connection, connection.cursor() as cursor:
            cursor.executemany("INSERT INTO notes (text) VALUES (%s)", [[row] for row in rows])

    def spoil(self, folder: Path) -> None:
        self.server.execute("SET sql_mode = ''", "INSERT INTO notes (day) VALUES ('0000-00-00')", url=self.url)


@pytest.fixture
def url(mariadb: MariadbServer) -> str:
    return mariadb.database()


def test_a_value_of_each_type_is_what_it_was(mariadb: MariadbServer, url: str, tmp_path: Path) -> None:
    types = types_of(mariadb.title)
    columns = ", ".join(f"c{number} {declared}" for number, (declared, *_) in enumerate(types))
    values = ", ".join(value for _, value, *_ in types)
    mariadb.execute(
        "SET time_zone = '+00:00'",
        f"CREATE TABLE t ({columns})",
        f"INSERT INTO t VALUES ({values}), ({', '.join(['NULL'] * len(types))})",
        url=url,
    )
    found = imported(tmp_path, url=url, tables=["t"])
    row, empty = found.rows
    assert not found.dead
    for (declared, _, kind, meant), field in zip(types, found.records[0].value.type, strict=True):
        assert (declared, field.type, row[field.name]) == (declared, kind, meant)
        assert empty[field.name] is None


def test_what_a_type_cannot_hold_is_a_dead_letter_with_key_and_column(
    mariadb: MariadbServer, url: str, tmp_path: Path
) -> None:
    columns = ", ".join(f"c{number} {declared} NULL" for number, (declared, _) in enumerate(REFUSED))
    inserts = [f"INSERT INTO t (a, b, c{n}) VALUES ({n}, 'y', {value})" for n, (_, value) in enumerate(REFUSED)]
    mariadb.execute(
        "SET sql_mode = 'ALLOW_INVALID_DATES'",
        f"CREATE TABLE t (a integer, b varchar(9), {columns}, PRIMARY KEY (b, a))",
        *inserts,
        "INSERT INTO t (a, b) VALUES (-1, 'x'), (99, 'z')",
        url=url,
    )
    found = imported(tmp_path, url=url, tables=["t"])
    assert sorted(row["a"] for row in found.rows) == [-1, 99]
    for (number, (declared, _)), (reason, content) in zip(enumerate(REFUSED), found.dead, strict=True):
        assert reason.startswith(f"column c{number} ({declared}) has a value that ")
        assert reason.endswith(f"key b=y, a={number}")
        assert f'"a": {number}' in content.decode()


def fill(mariadb: MariadbServer, url: str, table: str, count: int) -> None:
    """``table`` is its name and its columns, of which two are ``n`` and ``pad``."""
    rows = f"SELECT seq, repeat('x', 1000) FROM seq_1_to_{count}"
    mariadb.execute(f"CREATE TABLE {table}", f"INSERT INTO {table[0]} (n, pad) {rows}", url=url)


def test_several_ranges_at_once_read_each_row_once(mariadb: MariadbServer, url: str, tmp_path: Path) -> None:
    fill(mariadb, url, "t (n bigint PRIMARY KEY, pad text)", 9000)
    mariadb.execute("DELETE FROM t WHERE n % 3 = 0", "UPDATE t SET n = n * 1000000 WHERE n > 8000", url=url)
    mariadb.execute("INSERT INTO t VALUES (-9223372036854775808, ''), (9223372036854775807, '')", url=url)
    found = imported(tmp_path, url=url, tables=["t"], splits=3, batch_bytes=65536)
    left = [n for n in range(1, 9001) if n % 3]
    meant = [n if n <= 8000 else n * 1000000 for n in left] + [-(2**63), 2**63 - 1]
    assert sorted(row["n"] for row in found.rows) == sorted(meant)
    assert len(found.records) > 3


@pytest.mark.parametrize(
    ("declared", "key"),
    [
        ("varchar(40) CHARACTER SET latin1", "CONCAT('é''\\\\', seq MOD 7, '-', seq)"),
        ("varbinary(40)", "UNHEX(MD5(seq))"),
        ("datetime(6)", "TIMESTAMP '2026-01-01 00:00:00' + INTERVAL seq SECOND"),
        ("uuid", "CONCAT('123e4567-e89b-12d3-a456-', LPAD(HEX(seq), 12, '0'))"),
        ("decimal(30,5)", "seq / 7"),
    ],
)
def test_keys_of_all_types_divide_a_table(
    mariadb: MariadbServer, url: str, tmp_path: Path, declared: str, key: str
) -> None:
    if declared == "uuid" and mariadb.title != "MariaDB":
        pytest.skip("MySQL has no such type")
    mariadb.execute(
        f"CREATE TABLE t (k {declared}, n integer, pad text, PRIMARY KEY (k, n))",
        f"INSERT INTO t SELECT {key}, seq, repeat('x', 1000) FROM seq_1_to_9000",
        "ANALYZE TABLE t",
        url=url,
    )
    found = imported(tmp_path, url=url, tables=["t"], columns=["n"], splits=2)
    assert sorted(row["n"] for row in found.rows) == list(range(1, 9001))
    assert len(found.records) > 1


def test_all_ranges_and_tables_see_the_moment_when_the_import_began(
    mariadb: MariadbServer, url: str, tmp_path: Path
) -> None:
    fill(mariadb, url, "a (n bigint PRIMARY KEY, pad text)", 6000)
    mariadb.execute("CREATE TABLE b (n integer)", "INSERT INTO b VALUES (0)", url=url)

    def write() -> None:
        mariadb.execute(
            "UPDATE a SET n = -n WHERE n % 2 = 0", "INSERT INTO b VALUES (1)", "DELETE FROM a WHERE n < 100", url=url
        )

    found = imported(tmp_path, url=url, tables=["a", "b"], splits=2, after_open=write)
    name = url.rpartition("/")[2]
    assert sorted(row["n"] for row in found.by_stream[f"{name}.a"]) == list(range(1, 6001))
    assert found.by_stream[f"{name}.b"] == [{"n": 0}]


def test_connections_are_opened_at_one_moment_while_others_write(
    mariadb: MariadbServer, url: str, tmp_path: Path
) -> None:
    fill(mariadb, url, "a (n bigint PRIMARY KEY, pad text, v integer)", 6000)
    mariadb.execute("UPDATE a SET v = 0", url=url)
    done = threading.Event()

    def count_up() -> None:
        with mariadb.connected(url) as connection, connection.cursor() as cursor:
            while not done.is_set():
                cursor.execute("UPDATE a SET v = v + 1 WHERE n IN (1, 6000)")

    writer = threading.Thread(target=count_up)
    writer.start()
    try:
        for _ in range(3):
            rows = {row["n"]: row["v"] for row in imported(tmp_path, url=url, tables=["a"], splits=4).rows}
            assert rows[1] == rows[6000]
    finally:
        done.set()
        writer.join()


def test_tables_are_found_by_pattern(mariadb: MariadbServer, url: str, tmp_path: Path) -> None:
    name = url.rpartition("/")[2]
    mariadb.execute('CREATE TABLE `Odd ``name"` (v integer)', "CREATE VIEW seen AS SELECT 1 v", url=url)
    versioned = "WITH SYSTEM VERSIONING" if mariadb.title == "MariaDB" else ""
    mariadb.execute(f"CREATE TABLE kept (v integer) {versioned}", "INSERT INTO kept VALUES (2)", url=url)
    found = imported(tmp_path, url=url, tables=["*"], topic="{table}")
    assert set(found.positions) == {f'{name}.Odd `name"', f"{name}.kept", f"{name}.seen"}
    assert found.by_stream == {f"{name}.kept": [{"v": 2}], f"{name}.seen": [{"v": 1}]}
    other = url.rpartition("/")[0] + "/"
    assert imported(tmp_path, url=other, tables=[f"{name}.kept"]).rows == [{"v": 2}]


def test_a_query_with_columns_and_where(mariadb: MariadbServer, url: str, tmp_path: Path) -> None:
    query = mariadb.meant("SELECT seq n, seq * 1.5 AS price, 'x' AS `a name`, NULL AS nothing FROM seq_1_to_5 -- five")
    found = imported(tmp_path, url=url, query=query, columns=["a name", "n"], where="n > 3 OR n = 1")
    assert found.by_stream == {"query": [{"a name": "x", "n": n} for n in (1, 4, 5)]}
    assert imported(tmp_path, url=url, query=query, where="n = 1", columns=["nothing"]).rows == [{"nothing": None}]


def test_a_row_larger_than_a_packet_arrives_whole(mariadb: MariadbServer, url: str, tmp_path: Path) -> None:
    mariadb.execute("SET GLOBAL max_allowed_packet = 67108864")
    mariadb.execute("CREATE TABLE t (n integer PRIMARY KEY, v longtext)", url=url)
    mariadb.execute("INSERT INTO t SELECT seq, REPEAT(CHAR(64 + seq), 17000000) FROM seq_1_to_3", url=url)
    rows = imported(tmp_path, url=url, tables=["t"], splits=1, batch_bytes=65536).rows
    assert [(row["n"], row["v"] == chr(64 + row["n"]) * 17_000_000) for row in rows] == [
        (1, True),
        (2, True),
        (3, True),
    ]


def test_a_table_that_is_being_read_cannot_be_dropped(mariadb: MariadbServer, url: str, tmp_path: Path) -> None:
    mariadb.execute("CREATE TABLE t (v integer)", "INSERT INTO t SELECT seq FROM seq_1_to_10", url=url)

    def drop() -> None:
        with pytest.raises(pymysql.err.OperationalError, match="Lock wait timeout"):
            mariadb.execute("SET lock_wait_timeout = 1", "DROP TABLE t", url=url)

    assert len(imported(tmp_path, url=url, tables=["t"], after_open=drop).rows) == 10


# -- what goes wrong


def refused(url: str, tmp_path: Path, **settings: Any) -> ConnectorError:
    with pytest.raises(ConnectorError) as failure:
        imported(tmp_path, **{"url": url, "tables": ["t"], **settings})
    return failure.value


def test_a_missing_table_or_column_names_the_nearest(mariadb: MariadbServer, url: str, tmp_path: Path) -> None:
    mariadb.execute("CREATE TABLE orders (id integer)", url=url)
    name = url.rpartition("/")[2]
    assert refused(url, tmp_path, tables=["oders"]).hint == f"did you mean {name}.orders?"
    assert refused(url, tmp_path, tables=["orders"], columns=["idd"]).hint == "did you mean id?"
    assert "names no database" in str(refused(url.rpartition("/")[0], tmp_path, tables=["orders"]))


def test_a_condition_that_is_no_sql_does_not_pass_by_itself(mariadb: MariadbServer, url: str, tmp_path: Path) -> None:
    mariadb.execute("CREATE TABLE t (id integer)", url=url)
    error = refused(url, tmp_path, where="id =")
    assert not isinstance(error, SystemUnavailable)
    assert error.facts["code"] == 1064


def test_a_wrong_password_and_a_missing_privilege_are_said_and_no_password_shown(
    mariadb: MariadbServer, url: str, tmp_path: Path
) -> None:
    mariadb.execute("CREATE TABLE t (id integer)", url=url)
    wrong = refused(url.replace("root@", "guest:hunter2@"), tmp_path)
    assert not isinstance(wrong, SystemUnavailable)
    assert "the user or the password is wrong" in (wrong.hint or "")
    assert "hunter2" not in str(wrong)
    denied = refused(url.replace("root@", "guest:secret@"), tmp_path)
    assert "GRANT SELECT" in (denied.hint or "")
    assert "secret" not in str(denied)


def test_without_the_privilege_for_the_lock_one_connection_reads_and_says_so(
    mariadb: MariadbServer, url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = url.rpartition("/")[2]
    mariadb.execute(f"GRANT SELECT ON {name}.* TO guest@'%'")
    fill(mariadb, url, "t (n bigint PRIMARY KEY, pad text)", 6000)
    with caplog.at_level(logging.WARNING):
        found = imported(tmp_path, url=url.replace("root@", "guest:secret@"), tables=["t"], splits=2)
    assert len(found.rows) == 6000
    assert "one connection reads, not 2" in caplog.text
    assert "GRANT RELOAD" in caplog.text


def test_a_table_without_snapshots_is_told(
    mariadb: MariadbServer, url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mariadb.execute("CREATE TABLE t (v integer) ENGINE=MyISAM", "INSERT INTO t VALUES (1)", url=url)
    with caplog.at_level(logging.WARNING):
        assert imported(tmp_path, url=url, tables=["t"]).rows == [{"v": 1}]
    assert "MyISAM, which knows no snapshots" in caplog.text


def test_a_missing_database_and_a_server_that_is_not_there(mariadb: MariadbServer, tmp_path: Path) -> None:
    missing = refused(mariadb.url("nothing"), tmp_path)
    assert not isinstance(missing, SystemUnavailable)
    assert "the URL ends in its name" in (missing.hint or "")
    assert isinstance(refused("mysql://root@127.0.0.1:1/x", tmp_path), SystemUnavailable)


def test_a_connection_that_is_cut_in_the_middle_is_tried_again(
    mariadb: MariadbServer, url: str, tmp_path: Path
) -> None:
    fill(mariadb, url, "t (n bigint PRIMARY KEY, pad text)", 30000)
    left = ["SELECT id FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT `n`%'"]

    def cut_once() -> None:
        while left:
            for (number,) in mariadb.execute(left.pop()):
                mariadb.execute(f"KILL {number}")

    with pytest.raises(SystemUnavailable):
        imported(tmp_path, url=url, tables=["t"], splits=1, batch_bytes=65536, after_part=cut_once)


def test_a_row_that_the_server_cannot_compute_does_not_pass_by_itself(
    mariadb: MariadbServer, url: str, tmp_path: Path
) -> None:
    broken = "SELECT seq n, (SELECT seq FROM seq_1_to_2 s WHERE s.seq <= IF(n = 40000, 2, 1)) part FROM seq_1_to_50000"
    with pytest.raises(ConnectorError, match="more than 1 row") as caught:
        imported(tmp_path, url=url, query=mariadb.meant(broken))
    assert not isinstance(caught.value, SystemUnavailable)


def test_a_stop_ends_the_statements_on_the_server(mariadb: MariadbServer, url: str, tmp_path: Path) -> None:
    mariadb.execute("CREATE VIEW slow AS SELECT seq, SLEEP(seq) FROM seq_0_to_100", url=url)
    task = SqlSource(SqlSettings(url=url, tables=["slow"])).tasks(1)[0]
    task.open(SourceContext("in", tmp_path, Environment(), stopping=threading.Event()), {})
    task.poll()
    task.close()
    left = "SELECT count(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%slow%' AND INFO NOT LIKE '%count%'"
    assert mariadb.execute(left)[0][0] == 0
