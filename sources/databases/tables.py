"""Tables as the catalogue of a database names them, and which of them a pipeline means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import pyarrow as pa

from ingest.config import nearest
from ingest.errors import ConnectorError

_NO_TOPIC = re.compile(r"[^a-zA-Z0-9._-]")


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """``database_type`` is the server's name of its type; ``expression`` selects it, as ``type`` can hold it."""

    name: str
    database_type: str
    type: pa.DataType
    expression: str


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A table or view; without a schema and named ``query`` where the pipeline gives a query.

    ``relation`` stands behind FROM; ``key`` names the columns of the primary key, if all of them are selected.
    """

    schema: str
    name: str
    relation: str
    columns: Sequence[ColumnInfo] = ()
    key: Sequence[str] = ()

    @property
    def stream(self) -> str:
        """The name of its position and of its origin."""
        return f"{self.schema}.{self.name}" if self.schema else self.name

    def topic(self, template: str) -> str:
        """The topic that ``template`` means for this table; letters that no topic may have become ``_``."""
        schema, name = (_NO_TOPIC.sub("_", part) for part in (self.schema, self.name))
        return template.replace("{schema}", schema).replace("{table}", name)


def chosen(known: Sequence[TableInfo], patterns: Sequence[str], exclude: Sequence[str], schema: str) -> list[TableInfo]:
    """The tables that ``patterns`` name and ``exclude`` does not; a pattern without a schema means ``schema``.

    Raises ``ConnectorError`` for a pattern that names none: with the nearest name, where one is near.
    """
    found: dict[str, TableInfo] = {}
    for pattern in patterns:
        matching = [table for table in known if _matches(table, pattern, schema)]
        if not matching:
            guess = nearest(pattern if "." in pattern else f"{schema}.{pattern}", [table.stream for table in known])
            raise ConnectorError(
                f"there is no table {pattern}, or this user may not see it",
                hint=f"did you mean {guess}?" if guess else None,
                table=pattern,
            )
        found |= {table.stream: table for table in matching}
    return [table for table in found.values() if not any(_matches(table, pattern, schema) for pattern in exclude)]


def selects(table: TableInfo, patterns: Sequence[str], exclude: Sequence[str], schema: str) -> bool:
    """Whether ``chosen`` would take this one."""
    named = any(_matches(table, pattern, schema) for pattern in patterns)
    return named and not any(_matches(table, pattern, schema) for pattern in exclude)


def _matches(table: TableInfo, pattern: str, schema: str) -> bool:
    if table.stream == pattern:
        return True
    return fnmatchcase(table.stream, pattern if "." in pattern else f"{schema}.{pattern}")


def wanted(names: Sequence[str], columns: Sequence[str] | None, table: str) -> list[str]:
    """Those columns, in the order of the setting; raises ``ConnectorError`` for one that is not there."""
    if not names:
        raise ConnectorError(f"{table} has no columns", table=table)
    for column in columns or ():
        if column not in names:
            guess = nearest(column, list(names))
            hint = f"did you mean {guess}?" if guess else f"it has {', '.join(names)}"
            raise ConnectorError(f"{table} has no column {column}", hint=hint, table=table)
    return list(columns or names)


def quoted(name: str) -> str:
    """An identifier as SQL has it."""
    return '"' + name.replace('"', '""') + '"'
