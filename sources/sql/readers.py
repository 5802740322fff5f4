"""Which reader reads which database."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from ingest.database_url import is_known, kind_of, server_address
from ingest.sources.databases.reader import TableReader
from ingest.sources.sql.settings import SqlSettings

_LOG = logging.getLogger("ingest.sources")


def reader_for(
    settings: SqlSettings,
    base_folder: Path,
    part_bytes: int,
    report: Callable[[str], None] = _LOG.warning,
) -> TableReader:
    """A reader of its own for one import, in parts of about ``part_bytes``."""
    url = settings.address
    if not is_known(url):
        from ingest.sources.dialects.table_reader import DialectReader

        return DialectReader(url, part_bytes, report)
    if kind_of(url) == "sqlite":
        from ingest.sources.sqlite.table_reader import SqliteReader

        path = url.partition("://")[2].removeprefix("/")
        return SqliteReader(base_folder / path, part_bytes, report)
    if kind_of(url) == "mysql":
        from ingest.sources.mysql.table_reader import MysqlReader

        database = server_address(url, 3306).database
        return MysqlReader(url, database, settings.splits, part_bytes, report)
    from ingest.sources.postgres.table_reader import PostgresReader

    return PostgresReader(url, settings.splits, part_bytes)
