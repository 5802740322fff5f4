"""``select``: the columns of the value, chosen and computed by SQL."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from ingest.config import Settings
from ingest.connectors import Records, State, Transform, Transformed
from ingest.errors import ConfigError
from ingest.transforms.refusals import without
from ingest.transforms.sql import Expressions


class SelectSettings(Settings):
    """Settings of ``select``."""

    columns: list[str] | dict[str, str] = Field(
        min_length=1,
        description="SQL expressions, one a column: names as they are, `upper(method) AS method`, or a mapping of "
        "names to expressions. `*` stands for all columns that are there; a later one of the same name replaces it.",
    )


class Select(Transform):
    """Makes exactly the columns that SQL expressions name.

    One row in, one row out; a tombstone stays one.
    """

    Settings = SelectSettings
    reads_headers = False

    def __init__(self, settings: SelectSettings) -> None:
        items = _items(settings.columns)
        self._all_before = items[0] == "*"
        items = items[1:] if self._all_before else items
        if "*" in items:
            raise ConfigError("columns: * stands once, and first", setting="columns")
        self._columns = Expressions(items, "columns")
        self._names = [_named(*pair) for pair in zip(self._columns.names, items, strict=True)]
        twice = [name for name in self._names if self._names.count(name) > 1]
        if twice:
            raise ConfigError(f"columns: two columns are named {twice[0]}", setting="columns")

    def apply(self, records: Records, state: State) -> Transformed:
        found = self._columns.evaluate(records)
        columns = dict(zip(self._names, found.columns, strict=True))
        return without(records.with_value(self._struct(records, columns)), found.rejected)

    def _struct(self, records: Records, columns: dict[str, pa.Array]) -> pa.Array:
        fields = {name: pa.field(name, column.type) for name, column in columns.items()}
        if self._all_before:
            before = records.columns()
            columns = dict(zip(before.schema.names, before.columns, strict=True)) | columns
            fields = {field.name: field for field in before.schema} | fields
        tombstones = pc.is_null(records.value) if records.value.null_count else None
        return pa.StructArray.from_arrays(
            list(columns.values()), fields=[fields[name] for name in columns], mask=tombstones
        )


def _items(columns: list[str] | dict[str, str]) -> list[str]:
    if isinstance(columns, Mapping):
        return [f"{sql} AS {_quoted(name)}" for name, sql in columns.items()]
    return [sql.strip() for sql in columns]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _named(name: str | None, sql: str) -> str:
    if name is None:
        hint = f"give it one: {sql} AS …"
        raise ConfigError(f"columns: the column of {sql} has no name", hint=hint, setting="columns")
    return name
