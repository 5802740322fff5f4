"""Statements for one row, with ``?`` for each value; and what PostgreSQL and SQLite say alike."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.sinks.sql.database import Database
from ingest.sinks.sql.tables import TableName


def insert_into(database: Database, table: TableName, names: Sequence[str]) -> str:
    """One row."""
    columns, values = ", ".join(map(database.quoted, names)), ", ".join(["?"] * len(names))
    return f"INSERT INTO {database.named(table)} ({columns}) VALUES ({values})"  # noqa: S608  quoted


def on_conflict(database: Database, names: Sequence[str], key: Sequence[str]) -> str:
    """What stands behind an INSERT where PostgreSQL and SQLite are to change the row that is there."""
    others = [database.quoted(name) for name in names if name not in key]
    target = ", ".join(map(database.quoted, key))
    if not others:
        return f"ON CONFLICT ({target}) DO NOTHING"
    return f"ON CONFLICT ({target}) DO UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in others)


def upsert_by_key(database: Database, table: TableName, names: Sequence[str], key: Sequence[str]) -> str:
    """One row, by ``ON CONFLICT``."""
    return f"{insert_into(database, table, names)} {on_conflict(database, names, key)}"


def update_by_key(database: Database, table: TableName, names: Sequence[str], key: Sequence[str]) -> str:
    """The values of ``names``, then those of ``key``."""
    assignments = ", ".join(f"{database.quoted(name)} = ?" for name in names)
    return f"UPDATE {database.named(table)} SET {assignments} WHERE {_equal(database, key)}"  # noqa: S608  quoted


def delete_by_key(database: Database, table: TableName, key: Sequence[str]) -> str:
    """The values of ``key``."""
    return f"DELETE FROM {database.named(table)} WHERE {_equal(database, key)}"  # noqa: S608  quoted


def _equal(database: Database, key: Sequence[str]) -> str:
    return " AND ".join(f"{database.quoted(name)} = ?" for name in key)
