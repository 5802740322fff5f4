"""Tables of any database that SQLAlchemy has a dialect for: one connection, one cursor, a row at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ingest.errors import ConnectorError
from ingest.sources.databases.parts import Part, part_of
from ingest.sources.databases.reader import Finished, Piece, Selection, TableReader
from ingest.sources.databases.tables import ColumnInfo, TableInfo, chosen, wanted
from ingest.sources.dialects.columns import batch_of, type_of, type_of_values
from ingest.sources.dialects.connecting import connected, failure
from ingest.sources.sqlite.rows import some_rows

_PEEKED_ROWS = 1000
_SYSTEM = ("information_schema", "pg_catalog", "sys", "mysql", "performance_schema", "system", "temp")
_ROW_VALUES = ("postgresql", "mysql", "mariadb", "sqlite", "duckdb", "db2")


class DialectReader(TableReader):
    """Types by reflection; those of a query by its first rows. ``report`` hears where there is more than one moment."""

    def __init__(self, url: str, part_bytes: int, report: Callable[[str], None]) -> None:
        self._url = url
        self._part_bytes = part_bytes
        self._report = report
        self._connection: Any = None
        self._parts: Iterator[Part] = iter(())

    def tables(self, selection: Selection) -> Sequence[TableInfo]:
        self._where = selection.where
        self._connection, one_moment = connected(self._url)
        self._dialect = self._connection.dialect
        self.row_values = self._dialect.name in _ROW_VALUES  # type: ignore[misc]  # of this database, not of all
        with self._failing():
            if selection.query is not None:
                found = [self._query(selection.query, selection.columns)]
            else:
                found = [self._described(table, selection.columns) for table in self._selected(selection)]
        if not one_moment and len(found) > 1:
            self._report("this database gives no snapshot: each table is as it is when it is read")
        return found

    def start(self, tables: Sequence[TableInfo]) -> None:
        self.read([Piece(table) for table in tables])

    def read(self, pieces: Sequence[Piece]) -> None:
        self._parts = (part for piece in pieces for part in self._read(piece))

    def next_part(self, timeout_ms: int) -> Part | None:
        with self._failing():
            part = next(self._parts, None)
        if part is None:
            raise Finished
        return part

    def ask(self, statement: str) -> Sequence[Sequence[Any]]:
        with self._failing():
            return [tuple(row) for row in self._connection.exec_driver_sql(statement).fetchall()]

    def named(self, column: str) -> str:
        return str(self._dialect.identifier_preparer.quote(column))

    def literal(self, value: object) -> str:
        from sqlalchemy import exc
        from sqlalchemy import literal as bound

        try:
            return str(bound(value).compile(dialect=self._dialect, compile_kwargs={"literal_binds": True}))
        except exc.CompileError:
            return super().literal(value)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection.engine.dispose()

    def _selected(self, selection: Selection) -> list[TableInfo]:
        from sqlalchemy import inspect

        inspector = inspect(self._connection)
        default = inspector.default_schema_name or "main"
        known = []
        for schema in inspector.get_schema_names():
            plain = schema.rpartition(".")[2]  # some put the name of the database before it
            if plain.lower() not in _SYSTEM:
                names = {*inspector.get_table_names(schema), *inspector.get_view_names(schema)}
                known += [TableInfo(schema, name, self._relation(schema, name)) for name in sorted(names)]
        default = next((table.schema for table in known if table.schema.rpartition(".")[2] == default), default)
        return chosen(known, selection.tables, selection.exclude, default)

    def _relation(self, schema: str, name: str) -> str:
        from sqlalchemy import MetaData, Table

        return str(self._dialect.identifier_preparer.format_table(Table(name, MetaData(), schema=schema)))

    def _described(self, table: TableInfo, columns: Sequence[str] | None) -> TableInfo:
        from sqlalchemy import inspect

        inspector = inspect(self._connection)
        types = {column["name"]: column["type"] for column in inspector.get_columns(table.name, table.schema)}
        names = wanted(list(types), columns, table.stream)
        key = inspector.get_pk_constraint(table.name, table.schema).get("constrained_columns") or []
        infos = [ColumnInfo(name, str(types[name]), type_of(types[name]), self.named(name)) for name in names]
        return replace(table, columns=infos, key=key if set(key) <= set(names) else ())

    def _query(self, query: str, columns: Sequence[str] | None) -> TableInfo:
        result = self._connection.exec_driver_sql(query)
        names, rows = list(result.keys()), result.fetchmany(_PEEKED_ROWS)
        result.close()
        kinds = [type_of_values([row[place] for row in rows]) for place in range(len(names))]
        types = dict(zip(names, kinds, strict=True))
        infos = [
            ColumnInfo(name, "a query's", types[name], self.named(name)) for name in wanted(names, columns, "query")
        ]
        return TableInfo("", "query", f"({query}\n) {self.named('query')}", infos)

    def _read(self, piece: Piece) -> Iterator[Part]:
        table = piece.table
        conditions = [f"({each}\n)" for each in (self._where, piece.condition) if each]
        names = ", ".join(column.expression for column in table.columns)
        query = f"SELECT {names} FROM {table.relation}"  # noqa: S608 - quoted, or the user's own
        query += f" WHERE {' AND '.join(conditions)}" if conditions else ""
        query += f" ORDER BY {self.named(piece.order)}" if piece.order else ""
        result = self._connection.exec_driver_sql(query)
        while rows := some_rows(result, self._part_bytes):
            yield part_of(table, *batch_of(rows, table.columns))

    def _failing(self) -> Any:
        return _Failing(self._url)


class _Failing:
    """What SQLAlchemy or a driver raises inside becomes a ``ConnectorError``."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        from sqlalchemy.exc import SQLAlchemyError

        if isinstance(error, SQLAlchemyError):
            raise failure(error, self._url) from None
        if isinstance(error, Exception) and not isinstance(error, ConnectorError):
            failed = ConnectorError(f"reading with the driver of {self._url.partition('://')[0]}:// failed: {error!r}")
            raise failed from error
