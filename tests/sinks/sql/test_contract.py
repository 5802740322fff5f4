"""The sink ``sql`` passes the suite of all sinks, on each database."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from servers.postgres import PostgresServer

from ingest.connectors import SinkConnector, SinkTask
from ingest.connectors.testing import SinkContract
from ingest.sinks.sql.connector import SqlSink

FAIL_POINTS = ("sql.opened", "sql.written", "sql.committed")


def sink_of(url: str, **settings: object) -> SqlSink:
    return SqlSink(SqlSink.Settings.model_validate({"url": url, "table": "target", **settings}))


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


class TestPostgres(SinkContract):
    fail_points = FAIL_POINTS

    @pytest.fixture(autouse=True)
    def _server(self, postgres: PostgresServer) -> None:
        self._postgres = postgres
        self._urls: dict[Path, str] = {}

    def url(self, folder: Path) -> str:
        if folder not in self._urls:
            self._urls[folder] = self._postgres.database()
        return self._urls[folder]

    def sink(self, folder: Path) -> SinkConnector:
        return sink_of(self.url(folder), key="row")

    def rows(self, folder: Path) -> Sequence[str]:
        if not self._postgres.execute("SELECT to_regclass('target')", url=self.url(folder))[0][0]:
            return []
        return [row for (row,) in self._postgres.execute("SELECT row FROM target", url=self.url(folder))]

    def poison(self) -> pa.Array:
        return pa.StructArray.from_arrays([pa.array(["a\0b"])], names=["row"])

    def crash(self, task: SinkTask) -> None:
        die(task)
