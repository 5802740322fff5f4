"""What the sink asks of a database. Each of them brings its types, its bulk load, and what its errors mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from ingest.sinks.sql.tables import Table, TableName


class RowsRefused(Exception):
    """The database refuses a statement for what is in its rows: one of them, or several. A signal, no error: the
    sink looks for those rows. ``error`` is the class of failure in one word."""

    def __init__(self, error: str, reason: str) -> None:
        super().__init__(reason)
        self.error = error
        self.reason = reason


class Database(ABC):
    """One connection. Any method may raise ``ConnectorError`` (``SystemUnavailable`` for what may pass); those that
    take rows also ``RowsRefused``. Used by one thread.

    Definitions (``create``, ``add_columns``, ``widen``) are made outside of a transaction: MariaDB and MySQL commit
    before them. Rows come with the columns of the table that they are for, each in a type that its column holds.
    """

    title: ClassVar[str]
    """As people say it."""
    folds_case: ClassVar[bool]
    """Whether ``Id`` and ``id`` are one column."""
    row_lock: ClassVar[str] = ""
    """Ends a SELECT that locks its rows; empty where ``begin`` locks everything."""
    longest_name: ClassVar[int]
    """Bytes of a name; more would be cut off."""

    @abstractmethod
    def open(self) -> None:
        """Connects."""

    @abstractmethod
    def close(self) -> None:
        """What is not committed is rolled back. May be called at any time, more than once."""

    # -- transactions

    @abstractmethod
    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """One statement with ``%s`` for each parameter, and its rows."""

    def begin(self) -> None:
        self.execute("BEGIN")

    def commit(self) -> None:
        self.execute("COMMIT")

    def savepoint(self) -> None:
        """There is one at most; it is released or undone before the next."""
        self.execute("SAVEPOINT ingest_rows")

    def release(self) -> None:
        self.execute("RELEASE SAVEPOINT ingest_rows")

    def undo(self) -> None:
        self.execute("ROLLBACK TO SAVEPOINT ingest_rows")

    # -- definitions

    @abstractmethod
    def make_positions(self) -> None:
        """The table ``_ingest_positions``, if it is not there."""

    @abstractmethod
    def describe(self, name: TableName) -> Table | None:
        """None if it is not there."""

    @abstractmethod
    def type_for(self, kind: pa.DataType, *, key: bool = False) -> str:
        """The type of a new column that holds every value of ``kind`` (the widest there is, where none does)."""

    @abstractmethod
    def create(self, name: TableName, schema: pa.Schema, key: Sequence[str]) -> None:
        """A new table with this primary key; none where it is empty."""

    @abstractmethod
    def create_like(self, name: TableName, table: Table) -> None:
        """A new table, empty, with the columns and the key of ``table``."""

    @abstractmethod
    def add_columns(self, table: Table, fields: Sequence[pa.Field]) -> None:
        """New columns at the end."""

    @abstractmethod
    def widen(self, table: Table, name: str, kind: pa.DataType) -> bool:
        """Gives the column a type that holds ``kind`` too; false where this database cannot."""

    @abstractmethod
    def quoted(self, name: str) -> str:
        """An identifier as this database has it."""

    def named(self, name: TableName) -> str:
        """A table as it stands in a statement."""
        return ".".join(self.quoted(part) for part in name if part)

    # -- rows

    @abstractmethod
    def insert(self, table: Table, rows: pa.RecordBatch) -> None:
        """Adds them."""

    @abstractmethod
    def upsert_from(self, table: Table, source: Table, key: Sequence[str]) -> None:
        """``upsert`` with the rows of another table."""

    def insert_from(self, table: Table, source: Table) -> None:
        """Adds the rows of another table, which has no columns that this one lacks."""
        names = ", ".join(map(self.quoted, source.columns))
        rows = f"SELECT {names} FROM {self.named(source.name)}"  # noqa: S608  quoted
        self.execute(f"INSERT INTO {self.named(table.name)} ({names}) {rows}")

    def is_empty(self, table: Table) -> bool:
        return not self.execute(f"SELECT 1 FROM {self.named(table.name)} LIMIT 1")  # noqa: S608  quoted

    @abstractmethod
    def upsert(self, table: Table, rows: pa.RecordBatch, key: Sequence[str]) -> None:
        """Changes the rows that have these keys, in the columns that are given, and adds the others. No key twice."""

    @abstractmethod
    def update(self, table: Table, rows: pa.RecordBatch, key: Sequence[str]) -> np.ndarray:
        """Changes the rows that have these keys, in the columns that are given. Returns the places of those for which
        there is none. No key twice."""

    @abstractmethod
    def delete(self, table: Table, keys: pa.RecordBatch) -> None:
        """Deletes the rows that have these keys; one that is not there is no error."""

    def truncate(self, table: Table) -> None:
        """Deletes all rows."""
        self.execute(f"DELETE FROM {self.named(table.name)}")  # noqa: S608  quoted
