"""Rows that a table has when capture begins: each engine reads them all, at each of its runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.mariadb import MariadbServer
from servers.postgres import PostgresServer

from benchmarks.change_backlogs import TRANSACTION, mariadb, postgres

PIPELINE = """\
name: rows
hub: ./data
sources:
  - {{name: shop, type: {source}, url: "{url}", tables: [lineitem], snapshot: only, topic: "{{table}}"}}
"""


class PostgresRows:
    """A ``Backlog`` of rows."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self._server = server
        self._url = server.database()

    def fill(self, transactions: int) -> None:
        rows = postgres.INSERTS.replace("{first} + 599", "{last}").format(first=1, last=transactions * TRANSACTION)
        self._server.execute(postgres.TABLE, rows, "VACUUM ANALYZE lineitem", "CHECKPOINT", url=self._url)

    @contextmanager
    def ours(self, folder: Path) -> Iterator[Path]:
        yield _pipeline(folder, "postgres_cdc", self._url)

    @contextmanager
    def theirs(self, folder: Path) -> Iterator[dict[str, str]]:
        folder.mkdir()
        settings = postgres.debezium_settings(self._server.port, self._url, "judge", "judge")
        yield settings | {"snapshot.mode": "initial_only", "publication.autocreate.mode": "filtered"}
        self._server.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots", url=self._url)


class MariadbRows:
    """A ``Backlog`` of rows."""

    def __init__(self, server: MariadbServer, folder: Path) -> None:
        self._server = server
        self._url = server.database()

    def fill(self, transactions: int) -> None:
        rows = mariadb.INSERTS.format(first=1, last=transactions * TRANSACTION)
        self._server.execute(mariadb.TABLE, rows, "ANALYZE TABLE lineitem", url=self._url)

    @contextmanager
    def ours(self, folder: Path) -> Iterator[Path]:
        yield _pipeline(folder, "mysql_cdc", self._url)

    @contextmanager
    def theirs(self, folder: Path) -> Iterator[dict[str, str]]:
        folder.mkdir()
        yield mariadb.debezium_settings(self._server.port, self._url, folder) | {"snapshot.mode": "initial_only"}


def _pipeline(folder: Path, source: str, url: str) -> Path:
    folder.mkdir()
    path = folder / "pipeline.yaml"
    path.write_text(PIPELINE.format(source=source, url=url))
    return path
