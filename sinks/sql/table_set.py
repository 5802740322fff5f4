"""The tables of the target as they are needed: looked up once, made, and grown with the columns that come."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from pyarrow import types as t

from ingest.errors import ConnectorError
from ingest.sinks.sql.database import Database
from ingest.sinks.sql.fitting import must_grow
from ingest.sinks.sql.tables import Table, TableName


class TableSet:
    """``create`` as in the settings."""

    def __init__(self, database: Database, *, create: bool) -> None:
        self._database = database
        self._create = create
        self._known: dict[TableName, Table] = {}

    def get(self, name: TableName) -> Table | None:
        """None if it is not there."""
        if name not in self._known:
            table = self._database.describe(name)
            if table is None:
                return None
            self._known[name] = table
        return self._known[name]

    def ready_for(self, name: TableName, schema: pa.Schema, key: Sequence[str]) -> Table:
        """The table, with all columns of ``schema`` unless it may not be changed. Called outside of a transaction."""
        fields = pa.schema([field for field in schema if not t.is_null(field.type)])
        table = self.get(name)
        if table is None:
            return self._made(name, fields, key)
        if self._create and self._grown(table, fields):
            del self._known[name]
            return self._known_now(name)
        return table

    def ready_like(self, name: TableName, table: Table) -> Table:
        """A table with the columns and the key of ``table``; its own ones, where it is there."""
        known = self.get(name)
        if known is not None:
            return known
        self._check_names([name.name])
        self._database.create_like(name, table)
        return self._known_now(name)

    def _made(self, name: TableName, fields: pa.Schema, key: Sequence[str]) -> Table:
        if not self._create:
            raise ConnectorError(
                f"{self._database.title} has no table {name}, or this user may not see it",
                hint="make it, or set create: true",
                table=str(name),
            )
        missing = [column for column in key if column not in fields.names]
        if missing:
            raise ConnectorError(f"the key of {name} names {missing[0]}, and no record has a value of that name")
        self._check_names([name.name, *fields.names])
        self._database.create(name, fields, key)
        return self._known_now(name)

    def _grown(self, table: Table, fields: pa.Schema) -> bool:
        new = [field for field in fields if column_name(table, field.name, self._database.folds_case) is None]
        if new:
            self._check_names([field.name for field in new])
            self._database.add_columns(table, new)
        widened = [self._widened(table, field) for field in fields if field not in new]
        return bool(new) or any(widened)

    def _widened(self, table: Table, field: pa.Field) -> bool:
        name = column_name(table, field.name, self._database.folds_case)
        assert name is not None
        wider = must_grow(table.columns[name], field.type)
        return wider is not None and self._database.widen(table, name, wider)

    def _known_now(self, name: TableName) -> Table:
        table = self._database.describe(name)
        if table is None:
            raise ConnectorError(f"{name} was made, and is not there")
        self._known[name] = table
        return table

    def _check_names(self, names: Sequence[str]) -> None:
        for name in names:
            if not name or len(name.encode()) > self._database.longest_name:
                raise ConnectorError(
                    f"{self._database.title} cannot name a table or column {name!r}: names have 1 to "
                    f"{self._database.longest_name} bytes",
                    hint="rename it before the sink: transform rename",
                )


def column_name(table: Table, name: str, folds_case: bool) -> str | None:
    """As the table writes it; None if it has no such column."""
    if name in table.columns or not folds_case:
        return name if name in table.columns else None
    return next((known for known in table.columns if known.casefold() == name.casefold()), None)
