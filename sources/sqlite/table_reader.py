"""Tables of a SQLite database at one moment: one connection, one read transaction."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ingest.errors import ConnectorError, SystemUnavailable
from ingest.sources.databases.parts import Part, part_of
from ingest.sources.databases.reader import Finished, Piece, Selection, TableReader
from ingest.sources.databases.tables import ColumnInfo, TableInfo, chosen, quoted, wanted
from ingest.sources.sqlite.columns import declared_type, text_of, type_of_values
from ingest.sources.sqlite.library import Opened, opened
from ingest.sources.sqlite.row_batches import batches
from ingest.sources.sqlite.stored_types import stored_types

_LOG = logging.getLogger("ingest.sources")


class SqliteReader(TableReader):
    """Opens the file to read only; a writer may go on beside it where the database is in WAL mode.

    ``report`` hears if rows are read by Python's ``sqlite3``, for want of the compiled kernel.
    """

    def __init__(self, path: Path, part_bytes: int, report: Callable[[str], None] = _LOG.warning) -> None:
        self._path = path
        self._part_bytes = part_bytes
        self._report = report
        self._opened: Opened | None = None
        self._parts = self._read(())

    @property
    def database(self) -> sqlite3.Connection:
        """The connection whose read transaction sees what is read; there once ``tables`` was called."""
        assert self._opened is not None
        return self._opened.connection

    def tables(self, selection: Selection) -> Sequence[TableInfo]:
        self._where = selection.where
        if not self._path.is_file():
            raise ConnectorError(f"{self._path} is no file", hint="sqlite:////absolute/path has four slashes")
        try:
            self._opened = opened(self._connect)
            if self._opened.missing:
                self._report(f"SQLite is read by Python's sqlite3, several times slower: {self._opened.missing}")
            database = self.database
            database.text_factory = text_of
            database.execute("BEGIN")
            return [self._described(database, table, selection) for table in _selected(database, selection)]
        except sqlite3.Error as error:
            raise self._failure(error) from None

    def start(self, tables: Sequence[TableInfo]) -> None:
        self.read([Piece(table) for table in tables])

    def read(self, pieces: Sequence[Piece]) -> None:
        self._parts = self._read(pieces)

    def ask(self, statement: str) -> Sequence[Sequence[Any]]:
        try:
            return self.database.execute(statement).fetchall()
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
        self._parts.close()
        if self._opened is not None:
            self._opened.connection.close()

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{quote(str(self._path))}?mode=ro", uri=True, isolation_level=None)

    def _described(self, database: sqlite3.Connection, table: TableInfo, selection: Selection) -> TableInfo:
        names = [name for name, *_ in database.execute(_head(table)).description]
        rows = list(database.execute("SELECT name, type, pk FROM pragma_table_info(?)", [table.name]))
        declared = {name: kind for name, kind, _ in rows} if table.schema else {}
        names = wanted(names, selection.columns, table.stream)
        kinds = {name: declared_type(declared.get(name, "")) for name in names}
        stored = stored_types(
            database, [name for name in names if kinds[name] is None], table.relation + self._filter()
        )
        columns = [
            ColumnInfo(name, declared.get(name) or "no type", kinds[name] or type_of_values(stored[name]), quoted(name))
            for name in names
        ]
        key = [name for name, _, place in sorted(rows, key=lambda row: row[2]) if place] if table.schema else []
        whole = set(key) <= {each.name for each in columns}
        return replace(table, columns=columns, key=key if whole else ())

    def _filter(self, within: str = "") -> str:
        conditions = [f"({self._where}\n)"] if self._where else []
        conditions += [within] if within else []
        return f" WHERE {' AND '.join(conditions)}" if conditions else ""

    def _read(self, pieces: Sequence[Piece]) -> Generator[Part, None, None]:
        for piece in pieces:
            assert self._opened is not None
            table = piece.table
            with closing(batches(self._opened, self._query(piece), table.columns, self._part_bytes)) as found:
                for batch, refused in found:
                    yield part_of(table, batch, refused)

    def _query(self, piece: Piece) -> str:
        names = ", ".join(column.expression for column in piece.table.columns)
        order = f" ORDER BY {quoted(piece.order)}" if piece.order else ""
        return f"SELECT {names} FROM {piece.table.relation}{self._filter(piece.condition)}{order}"  # noqa: S608 - quoted, or the user's own

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
