"""PostgreSQL into records: each type exactly, all tables at one moment, several ranges at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from importing import imported
from servers.postgres import PostgresServer

from ingest.connectors import SourceContext
from ingest.connectors.testing import SourceContract
from ingest.environment import Environment
from ingest.errors import ConnectorError, SystemUnavailable
from ingest.sources.sql.connector import SqlSource
from ingest.sources.sql.settings import SqlSettings


class TestContract(SourceContract):
    follows = False

    @pytest.fixture(autouse=True)
    def _database(self, postgres: PostgresServer, url: str) -> None:
        self.server, self.url = postgres, url

    def source(self, folder: Path) -> SqlSource:
        return SqlSource(SqlSettings(url=self.url, tables=["notes"], columns=["text", "size"]))

    def fill(self, folder: Path, rows: Sequence[str]) -> None:
        self.server.execute(
            "CREATE TABLE IF NOT EXISTS notes (id serial PRIMARY KEY, text text, size numeric(4))", url=self.url
        )
        with psycopg.connect(self.url) as connection, connection.cursor() as cursor:
            cursor.executemany("INSERT INTO notes (text) VALUES (%s)", [[row] for row in rows])

    def spoil(self, folder: Path) -> None:
        self.server.execute("INSERT INTO notes (size) VALUES ('NaN')", url=self.url)


def run(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


NOON = datetime(2026, 1, 31, 12, 0, 0, 123456)


@pytest.mark.parametrize(
    ("declared", "value", "kind", "meant"),
    [
        ("boolean", "true", pa.bool_(), True),
        ("smallint", "-32768", pa.int16(), -32768),
        ("integer", "2147483647", pa.int32(), 2147483647),
        ("bigint", "-9223372036854775808", pa.int64(), -(2**63)),
        ("oid", "4294967295", pa.uint32(), 4294967295),
        ("real", "1e-20", pa.float32(), 9.999999682655225e-21),
        ("double precision", "1e300", pa.float64(), 1e300),
        ("double precision", "'-Infinity'", pa.float64(), float("-inf")),
        ("numeric(10,2)", "-12345678.90", pa.decimal128(10, 2), Decimal("-12345678.90")),
        ("numeric(38,38)", "0.00000000000000000000000000000000000001", pa.decimal128(38, 38), Decimal("1E-38")),
        ("numeric(76,2)", "'" + "9" * 74 + ".99'", pa.decimal256(76, 2), Decimal("9" * 74 + ".99")),
        ("numeric(100,50)", "1.5", pa.string(), "1.5" + "0" * 49),
        ("numeric(3,-2)", "12300", pa.string(), "12300"),
        ("numeric", "1.10", pa.string(), "1.10"),
        ("numeric", "'NaN'", pa.string(), "NaN"),
        ("money", "12.50", pa.string(), "$12.50"),
        ("char(3)", "'a'", pa.string(), "a  "),
        ("varchar(9)", "'é🙂'", pa.string(), "é🙂"),
        ("text", "''", pa.string(), ""),
        ("name", "'n'", pa.string(), "n"),
        ('"char"', "'c'", pa.string(), "c"),
        ("bytea", r"'\x00ff'", pa.binary(), b"\0\xff"),
        ("uuid", "'00112233-4455-6677-8899-aabbccddee00'", pa.string(), "00112233-4455-6677-8899-aabbccddee00"),
        ("json", """'{"b":1.10, "a":1}'""", pa.string(), '{"b":1.10, "a":1}'),
        ("jsonb", """'{"b":1.10}'""", pa.string(), '{"b": 1.10}'),
        ("date", "'0001-01-01'", pa.date32(), date(1, 1, 1)),
        ("time", "'23:59:59.999999'", pa.time64("us"), time(23, 59, 59, 999999)),
        ("timetz", "'12:00+05:30'", pa.string(), "12:00:00+05:30"),
        ("timestamp", "'2026-01-31 12:00:00.123456'", pa.timestamp("us"), NOON),
        ("timestamptz", "'2026-01-31 17:30:00.123456+05:30'", pa.timestamp("us", "UTC"), NOON.replace(tzinfo=UTC)),
        ("interval", "'1 mon 2 days 03:04:05.6'", pa.string(), "P1M2DT3H4M5.6S"),
        ("bit(4)", "B'0101'", pa.string(), "0101"),
        ("varbit", "B'01'", pa.string(), "01"),
        ("inet", "'10.0.0.1/8'", pa.string(), "10.0.0.1/8"),
        ("int4range", "'[1,5)'", pa.string(), "[1,5)"),
        ("integer[]", "'{{1,NULL},{3,4}}'", pa.string(), "{{1,NULL},{3,4}}"),
        ("text[]", """'{"a,b","NULL",NULL}'""", pa.string(), '{"a,b","NULL",NULL}'),
        ("point", "'(1,2)'", pa.string(), "(1,2)"),
        ("xml", "'<a/>'", pa.string(), "<a/>"),
        ("mood", "'glad'", pa.string(), "glad"),
        ("price", "1.50", pa.decimal128(12, 2), Decimal("1.50")),
        ("pair", "'(1,\"x y\")'", pa.string(), '(1,"x y")'),
    ],
)
def test_a_value_of_each_type_is_what_it_was(
    url: str, tmp_path: Path, declared: str, value: str, kind: pa.DataType, meant: object
) -> None:
    run(url, "CREATE TYPE mood AS ENUM ('glad', 'sad')", "CREATE DOMAIN price AS numeric(12,2)")
    run(url, "CREATE TYPE pair AS (a integer, b text)", f"CREATE TABLE t (v {declared})")
    run(url, f"INSERT INTO t VALUES ({value}), (NULL)")
    found = imported(tmp_path, url=url, tables=["t"])
    assert found.rows == [{"v": meant}, {"v": None}]
    assert found.records[0].value.type.field("v").type == kind
    assert not found.dead


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("numeric(10,2)", "'NaN'"),
        ("numeric(60,2)", "'NaN'"),
        ("date", "'infinity'"),
        ("timestamp", "'-infinity'"),
        ("timestamptz", "'infinity'"),
    ],
)
def test_what_a_type_cannot_hold_is_a_dead_letter_with_key_and_column(
    url: str, tmp_path: Path, declared: str, value: str
) -> None:
    run(url, f"CREATE TABLE t (v {declared}, a integer, b text, PRIMARY KEY (b, a))")
    run(url, f"INSERT INTO t VALUES (NULL, 1, 'x'), ({value}, 2, 'y'), (NULL, 3, 'z')")
    found = imported(tmp_path, url=url, tables=["t"])
    assert [row["a"] for row in found.rows] == [1, 3]
    ((reason, content),) = found.dead
    assert reason.startswith(f"column v ({declared}) has a value that ")
    assert reason.endswith("key b=y, a=2")
    assert b'"a": 2' in content


def test_several_ranges_at_once_read_each_row_once(url: str, tmp_path: Path) -> None:
    run(url, "CREATE TABLE t AS SELECT n, repeat('x', 1000) AS pad FROM generate_series(1, 6000) n")
    run(url, "DELETE FROM t WHERE n % 3 = 0", "INSERT INTO t SELECT n, '' FROM generate_series(6001, 6100) n")
    streams = imported(tmp_path, url=url, tables=["t"], splits=3, batch_bytes=65536)
    numbers = sorted(row["n"] for row in streams.rows)
    assert numbers == [n for n in range(1, 6001) if n % 3] + list(range(6001, 6101))
    assert streams.positions["public.t"]["rows"] == len(numbers)  # type: ignore[index]


def test_all_ranges_and_tables_see_the_moment_when_the_import_began(url: str, tmp_path: Path) -> None:
    run(url, "CREATE TABLE a AS SELECT n, repeat('x', 1000) AS pad FROM generate_series(1, 6000) n")
    run(url, "CREATE TABLE b (n integer)", "INSERT INTO b VALUES (0)")

    def write() -> None:
        run(url, "UPDATE a SET n = -n WHERE n % 2 = 0", "INSERT INTO b VALUES (1)", "DELETE FROM a WHERE n < 100")

    found = imported(tmp_path, url=url, tables=["a", "b"], splits=2, after_open=write)
    assert sorted(row["n"] for row in found.by_stream["public.a"]) == list(range(1, 6001))
    assert found.by_stream["public.b"] == [{"n": 0}]


def test_tables_are_found_by_pattern_and_partitions_only_by_name(url: str, tmp_path: Path) -> None:
    run(
        url,
        "CREATE SCHEMA sales",
        'CREATE TABLE sales."Odd ""name" (v integer)',
        "CREATE VIEW sales.seen AS SELECT 1 v",
    )
    run(url, "CREATE TABLE sales.parted (v integer) PARTITION BY LIST (v)")
    run(
        url, "CREATE TABLE sales.one PARTITION OF sales.parted FOR VALUES IN (1)", "INSERT INTO sales.parted VALUES (1)"
    )
    found = imported(tmp_path, url=url, tables=["sales.*"], topic="{table}")
    assert set(found.positions) == {'sales.Odd "name', "sales.parted", "sales.seen"}
    assert found.by_stream == {"sales.parted": [{"v": 1}], "sales.seen": [{"v": 1}]}
    assert {records.topic for records in found.records} == {"parted", "seen"}
    assert imported(tmp_path, url=url, tables=["sales.one"]).rows == [{"v": 1}]


def test_a_query_with_columns_and_where(url: str, tmp_path: Path) -> None:
    query = "SELECT n, n * 1.5::numeric(8,2) AS price, 'x' AS \"a name\" FROM generate_series(1, 5) n -- five"
    found = imported(tmp_path, url=url, query=query, columns=["a name", "n"], where="n > 3 OR n = 1")
    assert found.by_stream == {"query": [{"a name": "x", "n": n} for n in (1, 4, 5)]}


def test_a_table_that_is_being_read_cannot_be_dropped(url: str, tmp_path: Path) -> None:
    run(url, "CREATE TABLE t AS SELECT generate_series(1, 10) v")

    def drop() -> None:
        with pytest.raises(psycopg.errors.LockNotAvailable):
            run(url, "SET lock_timeout = '50ms'", "DROP TABLE t")

    assert len(imported(tmp_path, url=url, tables=["t"], after_open=drop).rows) == 10


# -- what goes wrong


def refused(url: str, tmp_path: Path, **settings: Any) -> ConnectorError:
    with pytest.raises(ConnectorError) as failure:
        imported(tmp_path, **{"url": url, "tables": ["t"], **settings})
    return failure.value


def test_a_missing_table_or_column_names_the_nearest(url: str, tmp_path: Path) -> None:
    run(url, "CREATE TABLE orders (id integer)")
    assert refused(url, tmp_path, tables=["oders"]).hint == "did you mean public.orders?"
    assert refused(url, tmp_path, tables=["orders"], columns=["idd"]).hint == "did you mean id?"


def test_a_condition_that_is_no_sql_does_not_pass_by_itself(url: str, tmp_path: Path) -> None:
    run(url, "CREATE TABLE t (id integer)")
    error = refused(url, tmp_path, where="id =")
    assert not isinstance(error, SystemUnavailable)
    assert error.facts["sqlstate"] == "42601"


def test_a_wrong_password_and_a_missing_privilege_are_said_and_no_password_shown(
    postgres: PostgresServer, url: str, tmp_path: Path
) -> None:
    run(url, "DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN PASSWORD 'secret'", "CREATE TABLE t (id integer)")
    try:
        wrong = refused(url.replace("postgres@", "guest:hunter2@"), tmp_path)
        assert wrong.hint == "the user or the password is wrong"
        assert "hunter2" not in str(wrong)
        denied = refused(url.replace("postgres@", "guest:secret@"), tmp_path)
        assert "GRANT SELECT" in (denied.hint or "")
        assert "secret" not in str(denied)
    finally:
        run(url, "DROP ROLE guest")


def test_a_missing_database_and_a_server_that_is_not_there(postgres: PostgresServer, tmp_path: Path) -> None:
    missing = refused(postgres.url("nothing"), tmp_path)
    assert not isinstance(missing, SystemUnavailable)
    assert "the URL ends in its name" in (missing.hint or "")
    assert isinstance(refused("postgresql://postgres@127.0.0.1:1/x", tmp_path), SystemUnavailable)


def test_a_connection_that_is_cut_in_the_middle_is_tried_again(url: str, tmp_path: Path) -> None:
    run(url, "CREATE TABLE t AS SELECT n, repeat('x', 1000) AS pad FROM generate_series(1, 30000) n")

    left = iter(["SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ingest'"])

    def cut_once() -> None:
        for statement in left:
            run(url, statement)

    with pytest.raises(SystemUnavailable):
        imported(tmp_path, url=url, tables=["t"], splits=1, batch_bytes=65536, after_part=cut_once)


def test_a_row_that_the_server_cannot_compute_does_not_pass_by_itself(url: str, tmp_path: Path) -> None:
    run(url, "CREATE VIEW broken AS SELECT n, 1 / (40000 - n) AS part FROM generate_series(1, 50000) n")
    with pytest.raises(ConnectorError, match="division by zero") as caught:
        imported(tmp_path, url=url, tables=["broken"])
    assert not isinstance(caught.value, SystemUnavailable)


def test_a_stop_ends_the_statements_on_the_server(url: str, tmp_path: Path) -> None:
    run(url, "CREATE VIEW slow AS SELECT n, pg_sleep(n) IS NULL AS slept FROM generate_series(0, 100) n")
    task = SqlSource(SqlSettings(url=url, tables=["slow"])).tasks(1)[0]
    task.open(SourceContext("in", tmp_path, Environment(), stopping=threading.Event()), {})
    task.poll()
    task.close()
    with psycopg.connect(url) as connection:
        busy = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ingest' AND state = 'active'"
        assert connection.execute(busy).fetchone() == (0,)
