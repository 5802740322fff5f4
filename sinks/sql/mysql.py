"""MariaDB and MySQL as a target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.errors import ConnectorError
from ingest.sinks.sql.database import Database
from ingest.sinks.sql.mysql_literals import value_lists
from ingest.sinks.sql.mysql_session import connected, failure, refusal
from ingest.sinks.sql.mysql_types import Declared, may_widen, type_held, type_made
from ingest.sinks.sql.positions import LONGEST_NAME, TABLE
from ingest.sinks.sql.tables import Column, Table, TableName

_STATEMENT_BYTES = 1024 * 1024
_HEAD_BYTES = 64 * 1024
"""Room for what stands around the values in a statement."""
_POSITIONS = f"""
    CREATE TABLE IF NOT EXISTS {TABLE} (
        pipeline varchar({LONGEST_NAME}) NOT NULL, sink varchar({LONGEST_NAME}) NOT NULL, epoch bigint NOT NULL,
        hub_id varchar(100) NOT NULL, commit_number bigint NOT NULL, content longtext NOT NULL, dead_letters longblob,
        PRIMARY KEY (pipeline, sink)) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
"""
_COLUMNS = """
    SELECT column_name, column_type, data_type, numeric_precision, numeric_scale, datetime_precision,
           column_default, is_nullable, extra, column_comment, generation_expression
    FROM information_schema.columns WHERE table_schema = coalesce(nullif(%s, ''), database()) AND table_name = %s
    ORDER BY ordinal_position
"""
_INDEXES = """
    SELECT index_name, column_name FROM information_schema.statistics
    WHERE table_schema = coalesce(nullif(%s, ''), database()) AND table_name = %s AND non_unique = 0
    ORDER BY index_name, seq_in_index
"""
_ENGINE = """
    SELECT t.engine, e.transactions FROM information_schema.tables t
    LEFT JOIN information_schema.engines e ON e.engine = t.engine
    WHERE t.table_schema = coalesce(nullif(%s, ''), database()) AND t.table_name = %s
"""
_COLLATIONS = "SELECT collation_name FROM information_schema.collations WHERE collation_name IN ({})"
_EXACT = ("utf8mb4_nopad_bin", "utf8mb4_0900_bin", "utf8mb4_bin")
"""In which no two texts are one key; the first that the server has."""
_PLACE = "`ingest place`"


class MysqlDatabase(Database):
    """Rows go in as INSERTs of many; where a key is not the only one, by way of a temporary table."""

    title = "MariaDB"
    folds_case = True
    longest_name = 64
    row_lock = "FOR UPDATE"

    def __init__(self, url: str, lock_wait_ms: int) -> None:
        self._url = url
        self._lock_wait_ms = lock_wait_ms
        self._connection: Any = None
        self._stages: dict[tuple[object, ...], str] = {}
        self._unique: dict[TableName, Mapping[str, Sequence[str]]] = {}

    def open(self) -> None:
        self._connection = connected(self._url, self._lock_wait_ms)
        (database, packet), *_ = self.execute("SELECT database(), @@max_allowed_packet")
        if database is None:
            raise ConnectorError("the URL names no database", hint="it ends in its name: mysql://user@host/database")
        self._most_bytes = int(packet) - _HEAD_BYTES
        quoted = ", ".join(f"'{name}'" for name in _EXACT)
        there = {name for (name,) in self.execute(_COLLATIONS.format(quoted))}
        self._collation = next(name for name in _EXACT if name in there)

    def close(self) -> None:
        if self._connection is not None:
            with suppress(Exception):  # a connection that is broken is closed already
                self._connection.close()
            self._connection = None

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        with self._judged() as connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            return list(cursor.fetchall())

    def make_positions(self) -> None:
        if self.describe(TableName("", TABLE)) is None:
            self.execute(_POSITIONS)

    def describe(self, name: TableName) -> Table | None:
        rows = self.execute(_COLUMNS, name)
        if not rows:
            return None
        self._check_engine(name)
        columns = {
            column: Column(column, declared, type_held(Declared(kind.lower(), declared.lower(), *sizes)))
            for column, declared, kind, *sizes, _, _, _, _, generated in rows
            if not generated
        }
        unique: dict[str, list[str]] = {}
        for index, column in self.execute(_INDEXES, name):
            unique.setdefault(index, []).append(column)
        self._unique[name] = unique
        return Table(name, columns, unique.get("PRIMARY", []))

    def type_for(self, kind: pa.DataType, *, key: bool = False) -> str:
        return type_made(kind, key=key)

    def create(self, name: TableName, schema: pa.Schema, key: Sequence[str]) -> None:
        columns = [f"{self.quoted(field.name)} {type_made(field.type, key=field.name in key)}" for field in schema]
        if key:
            columns.append(f"PRIMARY KEY ({', '.join(map(self.quoted, key))})")
        if name.schema:
            self.execute(f"CREATE DATABASE IF NOT EXISTS {self.quoted(name.schema)}")
        self.execute(
            f"CREATE TABLE IF NOT EXISTS {self.named(name)} ({', '.join(columns)}) "
            f"ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE {self._collation}"
        )

    def create_like(self, name: TableName, table: Table) -> None:
        self.execute(f"CREATE TABLE IF NOT EXISTS {self.named(name)} LIKE {self.named(table.name)}")

    def add_columns(self, table: Table, fields: Sequence[pa.Field]) -> None:
        added = ", ".join(f"ADD COLUMN {self.quoted(field.name)} {type_made(field.type)}" for field in fields)
        self.execute(f"ALTER TABLE {self.named(table.name)} {added}")

    def widen(self, table: Table, name: str, kind: pa.DataType) -> bool:
        """Only columns of which nothing else is declared: MODIFY would drop it."""
        column = next(row for row in self.execute(_COLUMNS, table.name) if row[0] == name)
        default, nullable, extra, comment = column[6:10]
        held = table.columns[name].holds
        bare = default in (None, "NULL") and not extra and not comment
        if held is None or not bare or not may_widen(held, kind):
            return False
        null = "NULL" if nullable == "YES" else "NOT NULL"
        self.execute(f"ALTER TABLE {self.named(table.name)} MODIFY COLUMN {self.quoted(name)} {type_made(kind)} {null}")
        return True

    def quoted(self, name: str) -> str:
        return "`" + name.replace("`", "``") + "`"

    def insert(self, table: Table, rows: pa.RecordBatch) -> None:
        self._insert(self.named(table.name), rows)

    def upsert(self, table: Table, rows: pa.RecordBatch, key: Sequence[str]) -> None:
        if self._is_only_key(table, key):
            first = self.quoted(key[0])
            others = [self.quoted(name) for name in rows.schema.names if name not in key]
            changes = ", ".join(f"{name} = VALUES({name})" for name in others) or f"{first} = {first}"
            self._insert(self.named(table.name), rows, f" ON DUPLICATE KEY UPDATE {changes}")
        else:
            self._upsert_from(self._staged(table, rows), table, rows.schema.names, key)

    def upsert_from(self, table: Table, source: Table, key: Sequence[str]) -> None:
        self._is_only_key(table, key)
        self._upsert_from(self.named(source.name), table, list(source.columns), key)

    def update(self, table: Table, rows: pa.RecordBatch, key: Sequence[str]) -> np.ndarray:
        stage = self._staged(table, rows)
        missing = self.execute(f"SELECT s.{_PLACE} {self._without_row(stage, table, key)}")
        self._change(stage, table, rows.schema.names, key)
        return np.sort(np.array([place for (place,) in missing], np.int64))

    def delete(self, table: Table, keys: pa.RecordBatch) -> None:
        stage = self._staged(table, keys)
        same = self._same(keys.schema.names)
        self.execute(f"DELETE t FROM {self.named(table.name)} t JOIN {stage} s ON {same}")

    def _upsert_from(self, source: str, table: Table, columns: Sequence[str], key: Sequence[str]) -> None:
        """In two steps, which meet no other unique index than that of the key but to be refused by it."""
        self._change(source, table, columns, key)
        names = ", ".join(map(self.quoted, columns))
        values = ", ".join(f"s.{self.quoted(name)}" for name in columns)
        rows = f"SELECT {values} {self._without_row(source, table, key)}"
        self.execute(f"INSERT INTO {self.named(table.name)} ({names}) {rows}")

    def _change(self, source: str, table: Table, columns: Sequence[str], key: Sequence[str]) -> None:
        """The rows of ``table`` that have a key of ``source``."""
        others = [self.quoted(name) for name in columns if name not in key]
        if others:
            changes = ", ".join(f"t.{name} = s.{name}" for name in others)
            joined = f"{self.named(table.name)} t JOIN {source} s ON {self._same(key)}"
            self.execute(f"UPDATE {joined} SET {changes}")  # noqa: S608  quoted

    def _without_row(self, source: str, table: Table, key: Sequence[str]) -> str:
        """What stands behind a SELECT for the rows of ``source`` whose key is not in ``table``."""
        joined = f"{source} s LEFT JOIN {self.named(table.name)} t ON {self._same(key)}"
        return f"FROM {joined} WHERE t.{self.quoted(key[0])} IS NULL"

    def _same(self, key: Sequence[str]) -> str:
        return " AND ".join(f"t.{self.quoted(name)} = s.{self.quoted(name)}" for name in key)

    def _check_engine(self, name: TableName) -> None:
        (engine, transactions), *_ = self.execute(_ENGINE, name)
        if transactions != "YES":
            raise ConnectorError(
                f"{name} has the engine {engine}, which knows no transactions: rows would be lost or doubled",
                hint=f"ALTER TABLE {self.named(name)} ENGINE=InnoDB",
                table=str(name),
            )

    def _is_only_key(self, table: Table, key: Sequence[str]) -> bool:
        """ON DUPLICATE KEY changes the row of any unique index that a new one meets: there must be no other."""
        unique = self._unique.get(table.name, {})
        wanted = sorted(key)
        if not any(sorted(columns) == wanted for columns in unique.values()):
            raise ConnectorError(
                f"no primary key and no unique index of {table.name} consists of {', '.join(key)}",
                hint="make one, or set key to the columns of one",
                table=str(table.name),
            )
        return all(sorted(columns) == wanted for columns in unique.values())

    def _staged(self, table: Table, rows: pa.RecordBatch) -> str:
        """A temporary table that holds just these rows, with columns as the table's and the row's place."""
        names = rows.schema.names
        known = (table.name, tuple((name, table.columns[name].declared) for name in names))
        stage = self._stages.get(known)
        if stage is None:
            stage = self.quoted(f"ingest {len(self._stages)}")
            columns = ", ".join(map(self.quoted, names))
            like = f"SELECT {columns} FROM {self.named(table.name)} LIMIT 0"  # noqa: S608  quoted
            self.execute(f"CREATE TEMPORARY TABLE {stage} ({_PLACE} int) ENGINE=InnoDB {like}")
            self._stages[known] = stage
        self.execute(f"DELETE FROM {stage}")  # noqa: S608
        places = pa.array(np.arange(len(rows), dtype=np.int32))
        self._insert(stage, pa.RecordBatch.from_arrays([places, *rows.columns], names=["ingest place", *names]))
        return stage

    def _insert(self, target: str, rows: pa.RecordBatch, ending: str = "") -> None:
        names = ", ".join(map(self.quoted, rows.schema.names))
        head = f"INSERT INTO {target} ({names}) VALUES ".encode()  # noqa: S608  quoted
        with self._judged() as connection:
            for values in value_lists(rows, _STATEMENT_BYTES, self._most_bytes):
                connection.query(b"".join((head, values, ending.encode())))

    @contextmanager
    def _judged(self) -> Iterator[Any]:
        import pymysql

        if self._connection is None:
            raise ConnectorError("the database is closed")
        try:
            yield self._connection
        except (pymysql.Error, OSError) as error:
            raise refusal(error) or failure(error, self._url) from None
