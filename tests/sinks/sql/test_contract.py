"""The sink ``sql`` passes the suite of all sinks, on each database."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from servers.mariadb import MariadbServer
from servers.mysql import MysqlServer
from servers.postgres import PostgresServer
from sql_targets import ServerTarget, sink_of

from ingest.connectors import SinkConnector, SinkTask
from ingest.connectors.testing import SinkContract
from ingest.sinks.sql.postgres import PostgresDatabase

FAIL_POINTS = ("sql.opened", "sql.written", "sql.committed")


def die(task: SinkTask) -> None:
    """The server ends what a dead process had open."""
    task.close()


class TestSqlite(SinkContract):
    fail_points = FAIL_POINTS

    def sink(self, folder: Path) -> SinkConnector:
        return sink_of("sqlite:///target.db", key="row")

    def rows(self, folder: Path) -> Sequence[str]:
        with sqlite3.connect(folder / "target.db") as database:
            if not database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'target'").fetchone():
                return []
            found = [row for (row,) in database.execute("SELECT row FROM target")]
        database.close()
        return found

    def poison(self) -> pa.Array:
        return pa.StructArray.from_arrays([pa.nulls(1, pa.string())], names=["row"])

    def crash(self, task: SinkTask) -> None:
        die(task)


class ServerContract(SinkContract):
    """Each folder of the suite has a database of its own."""

    fail_points = FAIL_POINTS
    server: Any

    def target(self, folder: Path) -> ServerTarget:
        targets: dict[Path, ServerTarget] = self.__dict__.setdefault("_targets", {})
        if folder not in targets:
            targets[folder] = ServerTarget(type(self).__name__, self.server)
        return targets[folder]

    def sink(self, folder: Path) -> SinkConnector:
        return sink_of(self.target(folder).url, key="row")

    def rows(self, folder: Path) -> Sequence[str]:
        target = self.target(folder)
        if not target.execute("SELECT 1 FROM information_schema.tables WHERE table_name = 'target' AND " + self.here):
            return []
        return [row for (row,) in target.execute(f"SELECT {self.column} FROM target")]

    here = "table_schema = 'public'"
    column = "row"

    def crash(self, task: SinkTask) -> None:
        die(task)


class TestPostgres(ServerContract):
    @pytest.fixture(autouse=True)
    def _server(self, postgres: PostgresServer) -> None:
        self.server = postgres

    def poison(self) -> pa.Array:
        return pa.StructArray.from_arrays([pa.array(["a\0b"])], names=["row"])


class Mariadb(ServerContract):
    here = "table_schema = database()"
    column = "`row`"

    @pytest.fixture(autouse=True)
    def _server(self, mariadb: MariadbServer) -> None:
        self.server = mariadb

    def poison(self) -> pa.Array:
        return pa.StructArray.from_arrays([pa.array(["a" * 256])], names=["row"])


class TestMariadb(Mariadb):
    pass


@pytest.mark.slow
class TestMysql(Mariadb):
    @pytest.fixture(autouse=True)
    def _server(self, mysql: MysqlServer) -> None:
        self.server = mysql


del ServerContract, Mariadb


def test_sinks_that_open_at_the_same_time_share_the_table_of_positions(postgres: PostgresServer) -> None:
    for _ in range(5):
        url = postgres.database()
        databases = [PostgresDatabase(url, 30_000) for _ in range(6)]
        for database in databases:
            database.open()
        with ThreadPoolExecutor(len(databases)) as threads:
            list(threads.map(PostgresDatabase.make_positions, databases))
        for database in databases:
            database.close()
