"""SQLite as a target: one file, one writer at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import types as t

from ingest.errors import ConnectorError, IngestError, StorageFull, SystemUnavailable
from ingest.sinks.sql.database import Database, RowsRefused
from ingest.sinks.sql.positions import TABLE
from ingest.sinks.sql.sqlite_values import columns_as_stored
from ingest.sinks.sql.statements import delete_by_key, insert_into, on_conflict, update_by_key, upsert_by_key
from ingest.sinks.sql.tables import Column, Table, TableName

_POSITIONS = f"""
    CREATE TABLE IF NOT EXISTS {TABLE} (
        pipeline TEXT NOT NULL, sink TEXT NOT NULL, epoch INTEGER NOT NULL, hub_id TEXT NOT NULL,
        commit_number INTEGER NOT NULL, content TEXT NOT NULL, dead_letters BLOB, PRIMARY KEY (pipeline, sink))
"""
_REQUIRED = 'SELECT name FROM pragma_table_info(%s, %s) WHERE "notnull"'
_UNIQUE = """
    SELECT l.name, i.name FROM pragma_index_list(%s, %s) l, pragma_index_info(l.name) i
    WHERE l."unique" AND NOT l.partial AND l.origin <> 'pk' ORDER BY l.seq, i.seqno
"""
"""A column without a name is an expression."""
_FAULTS_OF_ROWS = (sqlite3.IntegrityError, sqlite3.DataError, OverflowError, UnicodeEncodeError)


class SqliteDatabase(Database):
    """Values have types of their own in SQLite, and a column's is a preference: see the guide for what is written."""

    title = "SQLite"
    folds_case = True
    longest_name = 1000

    def __init__(self, path: Path, lock_wait_ms: int) -> None:
        self._path = path
        self._lock_wait_ms = lock_wait_ms
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        try:
            self._connection = sqlite3.connect(
                self._path, timeout=self._lock_wait_ms / 1000, isolation_level=None, check_same_thread=False
            )
            self.execute("SELECT count(*) FROM sqlite_schema")
            self.execute("PRAGMA foreign_keys = ON")
        except sqlite3.Error as error:
            raise self._failure(error) from None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        with self._judged() as connection:
            return connection.execute(statement.replace("%s", "?") if parameters else statement, parameters).fetchall()

    def begin(self) -> None:
        # the lock at once: a transaction that reads first could not get it later
        self.execute("BEGIN IMMEDIATE")

    def make_positions(self) -> None:
        self.execute(_POSITIONS)

    def describe(self, name: TableName) -> Table | None:
        rows = self.execute("SELECT name, type, pk FROM pragma_table_info(%s, %s)", [name.name, name.schema or "main"])
        if not rows:
            return None
        columns = {column: Column(column, declared or _UNTYPED, _held(declared)) for column, declared, _ in rows}
        key = [column for column, _, place in sorted(rows, key=lambda row: row[2]) if place]
        return Table(name, columns, key)

    def type_for(self, kind: pa.DataType, *, key: bool = False) -> str:
        if t.is_boolean(kind) or (t.is_integer(kind) and not t.is_uint64(kind)):
            return "INTEGER"
        if t.is_floating(kind):
            return "REAL"
        return "BLOB" if t.is_binary(kind) or t.is_large_binary(kind) or t.is_fixed_size_binary(kind) else "TEXT"

    def create(self, name: TableName, schema: pa.Schema, key: Sequence[str]) -> None:
        columns = [f"{self.quoted(field.name)} {self.type_for(field.type)}" for field in schema]
        if key:
            columns.append(f"PRIMARY KEY ({', '.join(map(self.quoted, key))})")
        self.execute(f"CREATE TABLE IF NOT EXISTS {self.named(name)} ({', '.join(columns)})")

    def create_like(self, name: TableName, table: Table) -> None:
        """With what refuses rows, as far as the catalogue tells it: of a CHECK or a partial index it does not."""
        place = [table.name.name, table.name.schema or "main"]
        required = {column for (column,) in self.execute(_REQUIRED, place)}
        columns = [
            f"{self.quoted(each.name)} {_declaration(each)}{' NOT NULL' if each.name in required else ''}"
            for each in table.columns.values()
        ]
        if table.key:
            columns.append(f"PRIMARY KEY ({', '.join(map(self.quoted, table.key))})")
        columns += [f"UNIQUE ({', '.join(map(self.quoted, names))})" for names in self._unique(place)]
        self.execute(f"CREATE TABLE IF NOT EXISTS {self.named(name)} ({', '.join(columns)})")

    def add_columns(self, table: Table, fields: Sequence[pa.Field]) -> None:
        for field in fields:
            column = f"{self.quoted(field.name)} {self.type_for(field.type)}"
            self.execute(f"ALTER TABLE {self.named(table.name)} ADD COLUMN {column}")

    def widen(self, table: Table, name: str, kind: pa.DataType) -> bool:
        return False

    def quoted(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def insert(self, table: Table, rows: pa.RecordBatch) -> None:
        self._each(insert_into(self, table.name, rows.schema.names), rows)

    def upsert_from(self, table: Table, source: Table, key: Sequence[str]) -> None:
        names = ", ".join(map(self.quoted, source.columns))
        # WHERE true: SQLite would take ON for the beginning of a join
        rows = f"SELECT {names} FROM {self.named(source.name)} WHERE true"  # noqa: S608  quoted
        conflict = on_conflict(self, list(source.columns), key)
        self.execute(f"INSERT INTO {self.named(table.name)} ({names}) {rows} {conflict}")

    def upsert(self, table: Table, rows: pa.RecordBatch, key: Sequence[str]) -> None:
        self._each(upsert_by_key(self, table.name, rows.schema.names, key), rows)

    def update(self, table: Table, rows: pa.RecordBatch, key: Sequence[str]) -> np.ndarray:
        missing = self._missing(table, rows.select(list(key)))
        others = [name for name in rows.schema.names if name not in key]
        if others:
            self._each(update_by_key(self, table.name, others, key), rows.select([*others, *key]))
        return missing

    def delete(self, table: Table, keys: pa.RecordBatch) -> None:
        self._each(delete_by_key(self, table.name, keys.schema.names), keys)

    def _unique(self, place: Sequence[str]) -> list[list[str]]:
        """The columns of each unique index that has nothing but columns, without that of the primary key."""
        found: dict[str, list[str]] = {}
        for index, column in self.execute(_UNIQUE, place):
            found.setdefault(index, []).append(column)
        return [names for names in found.values() if None not in names]

    def _missing(self, table: Table, keys: pa.RecordBatch) -> np.ndarray:
        where = " AND ".join(f"{self.quoted(name)} = ?" for name in keys.schema.names)
        query = f"SELECT 1 FROM {self.named(table.name)} WHERE {where}"  # noqa: S608  quoted
        with self._judged() as connection:
            rows = zip(*columns_as_stored(keys), strict=True)
            found = [connection.execute(query, row).fetchone() is not None for row in rows]
        return np.flatnonzero(~np.array(found, bool))

    def _each(self, statement: str, rows: pa.RecordBatch) -> None:
        with self._judged() as connection:
            connection.executemany(statement, zip(*columns_as_stored(rows), strict=True))

    @contextmanager
    def _judged(self) -> Iterator[sqlite3.Connection]:
        if self._connection is None:
            raise ConnectorError("the database is closed")
        try:
            yield self._connection
        except _FAULTS_OF_ROWS as error:
            raise RowsRefused(type(error).__name__, str(error)) from None
        except sqlite3.Error as error:
            raise self._failure(error) from None

    def _failure(self, error: sqlite3.Error) -> IngestError:
        text = f"SQLite at {self._path}: {error}"
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return SystemUnavailable(text, hint="another program writes to it and holds it for long")
        if code == sqlite3.SQLITE_FULL:
            return StorageFull(text, hint="make room; nothing is lost meanwhile", path=str(self._path))
        if code == sqlite3.SQLITE_IOERR:
            return SystemUnavailable(text, hint="the disk fails, or is full: see the machine's own log")
        return ConnectorError(text, hint=_HINTS.get(code))


_HINTS = {
    sqlite3.SQLITE_CANTOPEN: "the folder has to be there, and this user has to be allowed to write to it",
    sqlite3.SQLITE_READONLY: "this user has to be allowed to write to the file and to its folder",
    sqlite3.SQLITE_NOTADB: "that file is something else, or is encrypted",
}


_UNTYPED = "no type"


def _declaration(column: Column) -> str:
    return "" if column.declared == _UNTYPED else column.declared


def _held(declared: str) -> pa.DataType | None:
    """By SQLite's rules of affinity; None where it takes what comes."""
    name = declared.upper()
    if "INT" in name:
        return pa.int64()
    if any(word in name for word in ("CHAR", "CLOB", "TEXT")):
        return pa.string()
    if "BLOB" in name:
        return pa.binary()
    return pa.float64() if any(word in name for word in ("REAL", "FLOA", "DOUB")) else None
