"""The source ``postgres_cdc``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from ingest.config import Settings
from ingest.connectors import SourceConnector, SourceTask
from ingest.sources.postgres_cdc.settings import PostgresCdcSettings


class PostgresCdcSource(SourceConnector):
    """Each change of PostgreSQL tables, once and in its order, from the server's log; before that, the rows that are
    there when it first starts.

    A publication and a replication slot are made. The server keeps its log until the hub has the changes on disk: a
    source that is not run holds it back, and one that is retired must have its slot dropped. The topic may hold
    `{schema}` and `{table}`. Needs `wal_level = logical` and PostgreSQL 13 or newer.
    """

    Settings: ClassVar[type[Settings]] = PostgresCdcSettings
    needs_topic = True

    def __init__(self, settings: PostgresCdcSettings) -> None:
        self._settings = settings

    def check(self, base_folder: Path) -> None:
        from ingest.sources.postgres_cdc.database import Database

        database = Database(self._settings.url)
        try:
            database.check()
            database.tables(self._settings)
        finally:
            database.close()

    def tasks(self, most: int) -> Sequence[SourceTask]:
        from ingest.sources.postgres_cdc.task import PostgresCdcTask

        return [PostgresCdcTask(self._settings)]
