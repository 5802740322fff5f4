"""PostgreSQL as a target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.database_url import libpq, masked
from ingest.errors import ConnectorError, IngestError, MissingDependency, StorageFull, SystemUnavailable
from ingest.sinks.sql.database import Database, RowsRefused
from ingest.sinks.sql.positions import LONGEST_NAME, TABLE
from ingest.sinks.sql.postgres_copy import OPTIONS, copy_text
from ingest.sinks.sql.postgres_types import may_widen, type_held, type_made
from ingest.sinks.sql.statements import on_conflict
from ingest.sinks.sql.tables import Column, Table, TableName

_SETTINGS = {
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "60s",
}
_ALIVE: dict[str, Any] = {"keepalives_idle": 20, "keepalives_interval": 5, "keepalives_count": 4, "connect_timeout": 10}
_POSITIONS = f"""
    CREATE TABLE IF NOT EXISTS {TABLE} (
        pipeline varchar({LONGEST_NAME}) NOT NULL, sink varchar({LONGEST_NAME}) NOT NULL, epoch bigint NOT NULL,
        hub_id text NOT NULL, commit_number bigint NOT NULL, content text NOT NULL, dead_letters bytea,
        PRIMARY KEY (pipeline, sink))
"""
_COLUMNS = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod), coalesce(b.typname, t.typname),
           CASE WHEN b.oid IS NULL THEN a.atttypmod ELSE t.typtypmod END,
           a.attnum = ANY (coalesce(i.indkey::int2[], '{}'))
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON b.oid = nullif(t.typbasetype, 0)
    LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
    WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    ORDER BY a.attnum
"""
_PLACE = '"ingest place"'


class PostgresDatabase(Database):
    """Rows go in by COPY; by key, by way of a temporary table."""

    title = "PostgreSQL"
    folds_case = False
    longest_name = 63
    row_lock = "FOR UPDATE"

    def __init__(self, url: str, lock_wait_ms: int) -> None:
        self._url = url
        self._settings = _SETTINGS | {"lock_timeout": f"{lock_wait_ms}ms"}
        self._connection: Any = None
        self._stages: dict[tuple[object, ...], str] = {}

    def open(self) -> None:
        try:
            import psycopg
        except ImportError as error:
            raise MissingDependency("PostgreSQL needs psycopg", hint="pip install 'ingest[postgres]'") from error
        try:
            self._connection = psycopg.connect(libpq(self._url), autocommit=True, application_name="ingest", **_ALIVE)
            for name, value in self._settings.items():
                self._connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        except psycopg.Error as error:
            raise self._failure(error) from None

    def close(self) -> None:
        if self._connection is not None:
            with suppress(Exception):  # a connection that is broken is closed already
                self._connection.close()
            self._connection = None

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        with self._judged() as connection:
            cursor = connection.execute(statement, parameters or None)
            return list(cursor.fetchall()) if cursor.description else []

    def make_positions(self) -> None:
        if self.describe(TableName("", TABLE)) is None:
            self._make(_POSITIONS)

    def _make(self, statement: str) -> None:
        """IF NOT EXISTS does not see what another session makes at the same time: the second of the two is told of a
        double in the catalogue, in one form or another, and by then it is there. What is really wrong is said again."""
        try:
            self.execute(statement)
        except (RowsRefused, ConnectorError):
            self.execute(statement)

    def describe(self, name: TableName) -> Table | None:
        rows = self.execute(_COLUMNS, [self.named(name)])
        if not rows:
            return None
        columns = {
            column: Column(column, declared, type_held(kind, modifier)) for column, declared, kind, modifier, _ in rows
        }
        return Table(name, columns, [column for column, *_, of_key in rows if of_key])

    def type_for(self, kind: pa.DataType, *, key: bool = False) -> str:
        return type_made(kind)

    def create(self, name: TableName, schema: pa.Schema, key: Sequence[str]) -> None:
        columns = [f"{self.quoted(field.name)} {type_made(field.type)}" for field in schema]
        if key:
            columns.append(f"PRIMARY KEY ({', '.join(map(self.quoted, key))})")
        if name.schema:
            self._make_schema(name.schema)
        self._make(f"CREATE TABLE IF NOT EXISTS {self.named(name)} ({', '.join(columns)})")

    def create_like(self, name: TableName, table: Table) -> None:
        if name.schema:
            self._make_schema(name.schema)
        self._make(f"CREATE TABLE IF NOT EXISTS {self.named(name)} (LIKE {self.named(table.name)} INCLUDING ALL)")

    def _make_schema(self, schema: str) -> None:
        if not self.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema]):
            self._make(f"CREATE SCHEMA IF NOT EXISTS {self.quoted(schema)}")

    def add_columns(self, table: Table, fields: Sequence[pa.Field]) -> None:
        added = [f"ADD COLUMN IF NOT EXISTS {self.quoted(field.name)} {type_made(field.type)}" for field in fields]
        self.execute(f"ALTER TABLE {self.named(table.name)} {', '.join(added)}")

    def widen(self, table: Table, name: str, kind: pa.DataType) -> bool:
        wanted = type_made(kind)
        rows = self.execute(_COLUMNS, [self.named(table.name)])
        if not any(column == name and may_widen(catalogue, wanted) for column, _, catalogue, *_ in rows):
            return False
        self.execute(f"ALTER TABLE {self.named(table.name)} ALTER COLUMN {self.quoted(name)} TYPE {wanted}")
        return True

    def quoted(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def insert(self, table: Table, rows: pa.RecordBatch) -> None:
        self._copy(self.named(table.name), rows)

    def upsert_from(self, table: Table, source: Table, key: Sequence[str]) -> None:
        self._upsert(table, self.named(source.name), list(source.columns), key)

    def upsert(self, table: Table, rows: pa.RecordBatch, key: Sequence[str]) -> None:
        self._upsert(table, self._staged(table, rows), rows.schema.names, key)

    def _upsert(self, table: Table, source: str, columns: Sequence[str], key: Sequence[str]) -> None:
        names = ", ".join(map(self.quoted, columns))
        rows = f"SELECT {names} FROM {source}"  # noqa: S608  quoted
        conflict = on_conflict(self, columns, key)
        self.execute(f"INSERT INTO {self.named(table.name)} ({names}) {rows} {conflict}")

    def update(self, table: Table, rows: pa.RecordBatch, key: Sequence[str]) -> np.ndarray:
        stage, target = self._staged(table, rows), self.named(table.name)
        same = " AND ".join(f"t.{self.quoted(name)} = s.{self.quoted(name)}" for name in key)
        others = [self.quoted(name) for name in rows.schema.names if name not in key]
        if others:
            changes = ", ".join(f"{name} = s.{name}" for name in others)
            self.execute(f"UPDATE {target} t SET {changes} FROM {stage} s WHERE {same}")  # noqa: S608  quoted
        missing = self.execute(
            f"SELECT {_PLACE} FROM {stage} s WHERE NOT EXISTS (SELECT 1 FROM {target} t WHERE {same})"  # noqa: S608
        )
        return np.sort(np.array([place for (place,) in missing], np.int64))

    def delete(self, table: Table, keys: pa.RecordBatch) -> None:
        stage = self._staged(table, keys)
        same = " AND ".join(f"t.{self.quoted(name)} = s.{self.quoted(name)}" for name in keys.schema.names)
        self.execute(f"DELETE FROM {self.named(table.name)} t USING {stage} s WHERE {same}")  # noqa: S608  quoted

    def _staged(self, table: Table, rows: pa.RecordBatch) -> str:
        """A temporary table that holds just these rows, with columns as the table's and the row's place."""
        names = rows.schema.names
        kinds = tuple((name, table.columns[name].declared) for name in names)
        stage = self._stages.setdefault((table.name, kinds), f'pg_temp."ingest {len(self._stages)}"')
        columns = ", ".join(f"{self.quoted(name)} {declared}" for name, declared in kinds)
        self.execute("SET LOCAL client_min_messages = warning")
        self.execute(f"CREATE TABLE IF NOT EXISTS {stage} ({_PLACE} integer, {columns}) ON COMMIT DELETE ROWS")
        self.execute(f"DELETE FROM {stage}")  # noqa: S608
        places = pa.array(np.arange(len(rows), dtype=np.int32))
        self._copy(stage, pa.RecordBatch.from_arrays([places, *rows.columns], names=["ingest place", *names]))
        return stage

    def _copy(self, target: str, rows: pa.RecordBatch) -> None:
        names = ", ".join(map(self.quoted, rows.schema.names))
        statement = f"COPY {target} ({names}) FROM STDIN ({OPTIONS})"
        with self._judged() as connection, connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(memoryview(copy_text(rows)))

    @contextmanager
    def _judged(self) -> Iterator[Any]:
        import psycopg

        if self._connection is None:
            raise ConnectorError("the database is closed")
        try:
            yield self._connection
        except psycopg.Error as error:
            if (error.sqlstate or "").startswith(_FAULTS_OF_ROWS):
                said = error.diag.message_primary or str(error)
                detail = f"; {error.diag.message_detail}" if error.diag.message_detail else ""
                raise RowsRefused(type(error).__name__, f"{said}{detail}") from None
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> IngestError:
        text, code = str(error).strip(), getattr(error, "sqlstate", None) or ""
        if not code:
            # libpq keeps no SQLSTATE of a connection that failed; its texts in English are all there is
            code = next((known for words, known in _BEFORE_THE_PROTOCOL if words in text), "")
        passing = not code or code.startswith(_PASSING)
        kind = StorageFull if code == _FULL else SystemUnavailable if passing else ConnectorError
        return kind(f"PostgreSQL at {masked(self._url)}: {text}", hint=_HINTS.get(code), sqlstate=code)


_FAULTS_OF_ROWS = ("22", "23", "54000", "P0001")
"""Data, constraints, a row or its index entry too large, a trigger that raises."""
_PASSING = ("08", "53", "57P0", "55P03", "40", "25P03")
"""Connection lost, no memory or too many clients, shutdown, lock not given, deadlock, idle transaction ended."""
_FULL = "53100"
_BEFORE_THE_PROTOCOL = (
    ("password authentication failed", "28P01"),
    ("no password supplied", "28P01"),
    ("no pg_hba.conf entry", "28000"),
    ("does not exist", "3D000"),
)
_HINTS = {
    "28P01": "the user or the password is wrong",
    "28000": "the server does not let this user in: see its pg_hba.conf",
    "3D000": "the database is not there: the URL ends in its name",
    "42501": "grant it: GRANT SELECT, INSERT, UPDATE, DELETE ON ... TO ...; to make tables: GRANT CREATE ON SCHEMA "
    "...; to alter a table one has to own it, or set create: false",
    "42P01": "the table was dropped while it was written to",
    "42P10": "the table needs a primary key or a unique index of exactly the columns of the setting key",
    "42703": "a column was dropped while the table was written to",
    "53100": "the server's disk is full: make room there; nothing is lost meanwhile",
    "55P03": "a lock was not given in time: something holds the table, or the row of this sink in _ingest_positions",
}
