"""Which reader reads which database."""

from __future__ import annotations

from pathlib import Path

from ingest.sources.databases.reader import TableReader
from ingest.sources.databases.url import kind_of
from ingest.sources.sql.settings import SqlSettings


def reader_for(settings: SqlSettings, base_folder: Path, part_bytes: int) -> TableReader:
    """A reader of its own for one import, in parts of about ``part_bytes``."""
    if kind_of(settings.url) == "sqlite":
        from ingest.sources.sqlite.table_reader import SqliteReader

        path = settings.url.partition("://")[2].removeprefix("/")
        return SqliteReader(base_folder / path, part_bytes)
    from ingest.sources.postgres.table_reader import PostgresReader

    return PostgresReader(settings.url, settings.splits, part_bytes)
