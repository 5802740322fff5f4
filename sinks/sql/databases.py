"""Which database a URL means."""

from __future__ import annotations

from pathlib import Path

from ingest.database_url import kind_of, sqlite_path
from ingest.sinks.sql.database import Database


def database_for(url: str, base_folder: Path) -> Database:
    """Not connected yet; drivers are imported when it is."""
    kind = kind_of(url)
    if kind == "sqlite":
        from ingest.sinks.sql.sqlite import SqliteDatabase

        return SqliteDatabase(sqlite_path(url, base_folder))
    if kind == "mysql":
        from ingest.sinks.sql.mysql import MysqlDatabase

        return MysqlDatabase(url)
    from ingest.sinks.sql.postgres import PostgresDatabase

    return PostgresDatabase(url)
