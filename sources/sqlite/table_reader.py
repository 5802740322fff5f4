"""Tables of a SQLite database at one moment: one connection, one read transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ingest.errors import ConnectorError, SystemUnavailable
from ingest.sources.databases.parts import Part, part_of
from ingest.sources.databases.reader import Finished, Piece, Selection, TableReader
from ingest.sources.databases.tables import ColumnInfo, TableInfo, chosen, quoted, wanted
from ingest.sources.sqlite.columns import batch_of, text_of, type_of
from ingest.sources.sqlite.rows import some_rows


class SqliteReader(TableReader):
    """Opens the file to read only; a writer may go on beside it where the database is in WAL mode."""

    def __init__(self, path: Path, part_bytes: int) -> None:
        self._path = path
        self._part_bytes = part_bytes
        self._database: sqlite3.Connection | None = None
        self._parts: Iterator[Part] = iter(())

    @property
    def database(self) -> sqlite3.Connection:
        """The connection whose read transaction sees what is read; there once ``tables`` was called."""
        assert self._database is not None
        return self._database

    def tables(self, selection: Selection) -> Sequence[TableInfo]:
        self._where = selection.where
        if not self._path.is_file():
            raise ConnectorError(f"{self._path} is no file", hint="sqlite:////absolute/path has four slashes")
        try:
            database = sqlite3.connect(f"file:{quote(str(self._path))}?mode=ro", uri=True, isolation_level=None)
            self._database = database
            database.text_factory = text_of
            database.execute("BEGIN")
            return [self._described(database, table, selection) for table in _selected(database, selection)]
        except sqlite3.Error as error:
            raise self._failure(error) from None

    def start(self, tables: Sequence[TableInfo]) -> None:
        self.read([Piece(table) for table in tables])

    def read(self, pieces: Sequence[Piece]) -> None:
        self._parts = (part for piece in pieces for part in self._read(piece))

    def ask(self, statement: str) -> Sequence[Sequence[Any]]:
        assert self._database is not None
        try:
            return self._database.execute(statement).fetchall()
        except sqlite3.Error as error:
            raise self._failure(error) from None

    def next_part(self, timeout_ms: int) -> Part | None:
        try:
            part = next(self._parts, None)
        except sqlite3.Error as error:
            raise self._failure(error) from None
        if part is None:
            raise Finished
        return part

    def close(self) -> None:
        if self._database is not None:
            self._database.close()

    def _described(self, database: sqlite3.Connection, table: TableInfo, selection: Selection) -> TableInfo:
        names = [name for name, *_ in database.execute(_head(table)).description]
        rows = list(database.execute("SELECT name, type, pk FROM pragma_table_info(?)", [table.name]))
        declared = {name: kind for name, kind, _ in rows} if table.schema else {}
        columns = []
        for name in wanted(names, selection.columns, table.stream):
            kind = type_of(declared.get(name, ""), partial(self._stored, database, table, name))
            columns.append(ColumnInfo(name, declared.get(name) or "no type", kind, quoted(name)))
        key = [name for name, _, place in sorted(rows, key=lambda row: row[2]) if place] if table.schema else []
        whole = set(key) <= {each.name for each in columns}
        return replace(table, columns=columns, key=key if whole else ())

    def _stored(self, database: sqlite3.Connection, table: TableInfo, name: str) -> set[str]:
        query = f"SELECT DISTINCT typeof({quoted(name)}) FROM {table.relation}{self._filter()}"  # noqa: S608 - quoted
        return {kind for (kind,) in database.execute(query)} - {"null"}

    def _filter(self, within: str = "") -> str:
        conditions = [f"({self._where}\n)"] if self._where else []
        conditions += [within] if within else []
        return f" WHERE {' AND '.join(conditions)}" if conditions else ""

    def _read(self, piece: Piece) -> Iterator[Part]:
        assert self._database is not None
        table = piece.table
        names = ", ".join(column.expression for column in table.columns)
        order = f" ORDER BY {quoted(piece.order)}" if piece.order else ""
        query = f"SELECT {names} FROM {table.relation}{self._filter(piece.condition)}{order}"  # noqa: S608 - quoted, or the user's own
        cursor = self._database.execute(query)
        while rows := some_rows(cursor, self._part_bytes):
            yield part_of(table, *batch_of(rows, table.columns))

    def _failure(self, error: sqlite3.Error) -> ConnectorError:
        text = f"SQLite at {self._path}: {error}"
        if "locked" in str(error) or "busy" in str(error):
            return SystemUnavailable(text, hint="another program writes to it and holds it for long")
        return ConnectorError(text)


def _head(table: TableInfo) -> str:
    return f"SELECT * FROM {table.relation} LIMIT 0"  # noqa: S608 - quoted, or the user's own query


def _selected(database: sqlite3.Connection, selection: Selection) -> list[TableInfo]:
    if selection.query is not None:
        return [TableInfo("", "query", f"({selection.query}\n)")]
    query = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    known = [TableInfo("main", name, f"main.{quoted(name)}") for (name,) in database.execute(query)]
    return chosen(known, selection.tables, selection.exclude, "main")
