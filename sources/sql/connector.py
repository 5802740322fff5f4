"""The source ``sql``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from ingest.config import Settings
from ingest.connectors import SourceConnector, SourceTask
from ingest.sources.sql.settings import SqlSettings


class SqlSource(SourceConnector):
    """Tables and queries of PostgreSQL, MariaDB, MySQL, SQLite, and of others through SQLAlchemy: imported once, again
    and again as a whole, or only what is new.

    A whole import is of one moment and one transaction of the hub: nobody sees a row before the last one is there, and
    after a crash it begins anew (or, with `resume`, goes on). With `incremental` each step commits by itself. The topic
    may hold `{schema}` and `{table}`. Types are exact; a row with a value that no type can hold is a dead letter.
    `ingest positions reset` makes the next run import again.
    """

    Settings: ClassVar[type[Settings]] = SqlSettings
    needs_topic = True

    def __init__(self, settings: SqlSettings) -> None:
        self._settings = settings

    def check(self, base_folder: Path) -> None:
        from ingest.sources.sql.readers import reader_for

        reader = reader_for(self._settings, base_folder, 1024 * 1024)
        try:
            reader.tables(self._settings.selection)
        finally:
            reader.close()

    def tasks(self, most: int) -> Sequence[SourceTask]:
        from ingest.sources.sql.task import SqlTask

        return [SqlTask(self._settings)]
