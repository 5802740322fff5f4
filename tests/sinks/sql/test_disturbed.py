"""What others do to a database while ``ingest run`` writes rows into it: no row is lost, none comes twice."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from crash.program import start
from loading import PATIENCE_S, ROWS, Loading
from servers.mariadb import MariadbServer, mariadb_server
from servers.postgres import PostgresServer
from small_disk import fill, small_disk
from sql_targets import ServerTarget, SqliteTarget, Target

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

T = TypeVar("T")

SERVERS = pytest.mark.parametrize("target", ["postgres", "mariadb"], indirect=True)
ALL = pytest.mark.parametrize("target", ["sqlite", "postgres", "mariadb"], indirect=True)


class Client:
    """Another program, with a transaction of its own."""

    def __init__(self, target: Target) -> None:
        self._kind = target.kind
        self._cursor = self._connected(target.url).cursor()
        self.execute("BEGIN")

    def execute(self, *statements: str) -> list[Any]:
        for statement in statements:
            self._cursor.execute(statement)
        return list(self._cursor.fetchall()) if self._cursor.description else []

    def close(self) -> None:
        """What is not committed never was."""
        self._cursor.connection.close()

    def _connected(self, url: str) -> Any:
        if self._kind == "sqlite":
            import sqlite3

            return sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        if self._kind == "postgres":
            import psycopg

            return psycopg.connect(url, autocommit=True)
        import pymysql

        from ingest.database_url import server_address

        address = server_address(url, 3306)
        return pymysql.connect(host=address.host, port=address.port, user=address.user, database=address.database)


WAITS = {
    "postgres": "SELECT 1 FROM pg_stat_activity WHERE application_name = 'ingest' AND wait_event_type = 'Lock'",
    "mariadb": "SELECT 1 FROM information_schema.global_status WHERE variable_name = 'INNODB_ROW_LOCK_CURRENT_WAITS' "
    "AND variable_value > 0",
}


@SERVERS
def test_a_deadlock_with_another_client_costs_an_attempt(target: Target, tmp_path: Path) -> None:
    load, dice = Loading(tmp_path, target, ["changed"]), random.Random(1)
    load.write(dice, [1, 2])
    load.check()
    target.execute("CREATE TABLE others (id integer PRIMARY KEY)")
    if target.kind == "postgres":  # the one that finds it is the one that goes: the sink
        name = target.url.rpartition("/")[2]
        target.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '4s'")
    with load.running(), closing(Client(target)) as client:
        if target.kind == "postgres":
            client.execute("SET deadlock_timeout = '60s'")
        else:  # the one that has done less is the one that goes
            client.execute("INSERT INTO others SELECT seq FROM seq_1_to_1000")
        client.execute("UPDATE changed SET word = 'others' WHERE place = 2")
        load.write(dice, [1, 2])
        load.wait_for(lambda: target.execute(WAITS[target.kind]))
        client.execute("UPDATE changed SET word = 'others' WHERE place = 1", "COMMIT")
        load.wait_for_words("tried again")
    load.check()
    assert "eadlock" in load.said()


LOCKS = {
    "sqlite": ["COMMIT", "BEGIN EXCLUSIVE"],
    "postgres": ["LOCK TABLE changed IN ACCESS EXCLUSIVE MODE"],
    "mariadb": ["SELECT * FROM changed WHERE place = 1 FOR UPDATE"],
}


@ALL
def test_a_lock_that_is_held_for_long_is_waited_for_again_and_again(target: Target, tmp_path: Path) -> None:
    load, dice = Loading(tmp_path, target, ["changed"], ", lock_wait: 500ms"), random.Random(1)
    load.write(dice, [1, 2])
    load.check()
    with load.running():
        with closing(Client(target)) as client:
            client.execute(*LOCKS[target.kind])
            load.write(dice, [1, 2])
            load.wait_for(lambda: load.said().count("tried again") > 1)
        before = load.commits()
        load.wait_for_a_commit(before)
    load.check()
    assert "lock" in load.said()


@ALL
def test_a_table_that_is_dropped_stops_the_run_and_the_next_one_makes_it(target: Target, tmp_path: Path) -> None:
    load, dice = Loading(tmp_path, target, ["added"]), random.Random(1)
    with _stopped(load):
        target.execute("DROP TABLE added")
        load.tables["added"].clear()
        load.write(dice, range(40))
    assert "added" in load.said()
    load.check()


@ALL
def test_a_column_that_is_dropped_stops_the_run_and_the_next_one_adds_it(target: Target, tmp_path: Path) -> None:
    load, dice = Loading(tmp_path, target, ["added"]), random.Random(1)
    with _stopped(load):
        target.execute("ALTER TABLE added DROP COLUMN word")
        before = {key: (row, None) for key, (row, _) in load.tables["added"].items()}
        load.tables["added"].clear()
        load.write(dice, range(40))
    assert "word" in load.said()
    load.tables["added"] |= before  # type: ignore[arg-type]
    load.check()


NARROWER = {"postgres": "ALTER COLUMN place TYPE smallint", "mariadb": "MODIFY place smallint NOT NULL"}


@SERVERS
def test_a_column_that_becomes_narrower_makes_dead_letters(target: Target, tmp_path: Path) -> None:
    load, dice = Loading(tmp_path, target, ["added"]), random.Random(1)
    with load.running():
        load.write(dice, range(40))
        load.wait_for_a_commit(0)
        target.execute(f"ALTER TABLE added {NARROWER[target.kind]}")
        load.write(dice, [1, 40_000, 2])
        load.wait_for_a_commit(1)
    del load.tables["added"][ROWS + 1]
    load.check()


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_connections_that_are_cut_and_servers_that_go_down(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    server: PostgresServer | MariadbServer = request.getfixturevalue(kind)
    load, dice = Loading(tmp_path, ServerTarget(kind, server)), random.Random(4)
    with load.running():
        for number in range(4):
            before = load.commits()
            load.write(dice)
            load.wait_for_a_commit(before)
            if number % 2:
                server.stop("immediate")
                server.start()
            else:
                _cut(load.target)
    load.check()
    assert "tried again" in load.said()


def _cut(target: Target) -> None:
    if target.kind == "postgres":
        target.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ingest'")
        return
    mine = "db = database() AND id <> connection_id()"
    for (number,) in target.execute(f"SELECT id FROM information_schema.processlist WHERE {mine}"):
        target.execute(f"KILL {number}")


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_target_whose_disk_is_full_is_waited_for(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> None:
    with small_disk("6m", owner="postgres" if kind == "postgres" else None) as disk:
        if kind == "sqlite":
            _fill_and_make_room(Loading(tmp_path, SqliteTarget(disk), ["added"]), lambda: fill(disk), _delete)
            return
        target = ServerTarget(kind, request.getfixturevalue(kind))
        target.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
        load = Loading(tmp_path, target, ["added"], made="TABLESPACE small")
        _fill_and_make_room(load, lambda: fill(disk), _delete)
        target.execute("DROP TABLE added", "DROP TABLESPACE small")


def test_a_tablespace_of_mariadb_that_is_full_is_waited_for(tmp_path: Path) -> None:
    """No full disk: of that the server itself dies, which is waited for like any other end of it."""

    def fill_up() -> None:
        for rows in (1000, 100, 10, 1):  # what is refused is given back
            with pytest.raises(Exception, match="full"):
                for _ in range(1000):
                    target.execute(f"INSERT INTO filler SELECT repeat('x', 1000) FROM seq_1_to_{rows}")

    with mariadb_server(innodb_file_per_table="0", innodb_data_file_path="ibdata1:12M:autoextend:max:24M") as server:
        target = ServerTarget("mariadb", server)
        load = Loading(tmp_path, target, ["added"])
        target.execute("CREATE TABLE filler (content text)")
        _fill_and_make_room(load, fill_up, lambda _: target.execute("DROP TABLE filler"))


def _fill_and_make_room(load: Loading, fill_up: Callable[[], T], make_room: Callable[[T], object]) -> None:
    dice = random.Random(1)
    with load.running():
        load.write(dice)
        load.wait_for_a_commit(0)
        filler = fill_up()
        for _ in range(8):
            load.write(dice)
        load.wait_for_words("make room")
        make_room(filler)
        load.wait_for(lambda: len(load.target.execute("SELECT id FROM added")) == len(load.tables["added"]))
    load.check()


def _delete(filler: Path) -> None:
    filler.unlink()


@contextmanager
def _stopped(load: Loading) -> Iterator[None]:
    """The program after its first commit; by what the block does it ends with exit code 1."""
    process = start(load.pipeline)
    try:
        load.write(random.Random(0), range(40))
        load.wait_for_a_commit(0)
        yield
        assert process.wait(PATIENCE_S) == 1, load.said()
    finally:
        process.kill()
        process.wait(PATIENCE_S)
