"""The source ``sqlite_cdc``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from ingest.config import Settings
from ingest.connectors import SourceConnector, SourceTask
from ingest.database_url import sqlite_path
from ingest.errors import ConnectorError
from ingest.sources.sqlite_cdc.settings import SqliteCdcSettings


class SqliteCdcSource(SourceConnector):
    """Changes of SQLite tables: the rows at one moment, then each insert, update and delete since, in their order.

    Triggers write changes down in the transaction that makes them, whatever program does; `ingest capture install
    URL TABLE…` makes them, `ingest capture remove URL` takes them away. Changes are removed from the database once
    the hub has them on disk: one pipeline reads them. The topic may hold `{schema}` (`main`) and `{table}`.
    """

    Settings: ClassVar[type[Settings]] = SqliteCdcSettings
    needs_topic = True

    def __init__(self, settings: SqliteCdcSettings) -> None:
        self._settings = settings

    def check(self, base_folder: Path) -> None:
        from ingest.sources.sqlite_cdc import capture

        with capture.opened(sqlite_path(self._settings.url, base_folder)) as database:
            here = {each.table for each in capture.installed(database)}
            for name in capture.selected(database, self._settings.tables, self._settings.exclude):
                if name not in here:
                    hint = f"ingest capture install {self._settings.url} {name}"
                    raise ConnectorError(f"changes of {name} are not written down", hint=hint, table=name)

    def tasks(self, most: int) -> Sequence[SourceTask]:
        from ingest.sources.sqlite_cdc.task import SqliteCdcTask

        return [SqliteCdcTask(self._settings)]
