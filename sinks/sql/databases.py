"""Which database a URL means."""

from __future__ import annotations

from pathlib import Path

from ingest.database_url import kind_of, sqlite_path
from ingest.sinks.sql.database import Database


def database_for(url: str, base_folder: Path, lock_wait_ms: int = 30_000) -> Database:
    """Not connected yet; drivers are imported when it is. Longer than ``lock_wait_ms`` it waits for no lock."""
    kind = kind_of(url)
    if kind == "sqlite":
        from ingest.sinks.sql.sqlite import SqliteDatabase

        return SqliteDatabase(sqlite_path(url, base_folder), lock_wait_ms)
    if kind == "mysql":
        from ingest.sinks.sql.mysql import MysqlDatabase

        return MysqlDatabase(url, lock_wait_ms)
    from ingest.sinks.sql.postgres import PostgresDatabase

    return PostgresDatabase(url, lock_wait_ms)
