"""The sink ``sql``."""

from __future__ import annotations

from pathlib import Path

from ingest.connectors import SinkConnector, SinkTask
from ingest.sinks.sql.settings import SqlSinkSettings

__all__ = ["SqlSink", "SqlSinkSettings"]


class SqlSink(SinkConnector):
    """Tables of PostgreSQL, MariaDB, MySQL and SQLite: rows added, changed by key, or kept equal to a source.

    Exactly once: where the sink stands is a row of the table `_ingest_positions`, which is made in the target and
    written in the same transaction as the rows. A row that the database refuses is a dead letter; its neighbours are
    written.
    """

    Settings = SqlSinkSettings
    reads_headers = False

    def __init__(self, settings: SqlSinkSettings) -> None:
        self._settings = settings

    def check(self, base_folder: Path) -> None:
        from ingest.sinks.sql.databases import database_for

        database = database_for(self._settings.address, base_folder, self._settings.lock_wait)
        try:
            database.open()
        finally:
            database.close()

    def task(self) -> SinkTask:
        from ingest.sinks.sql.task import SqlSinkTask

        return SqlSinkTask(self._settings)
