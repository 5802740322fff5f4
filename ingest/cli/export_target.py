"""The table that ``ingest export`` writes to, as its database describes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.cli.database_options import Database
from ingest.errors import ConnectorError, UsageError

if TYPE_CHECKING:
    from ingest.sinks.sql.tables import Column


_TEXTS = re.compile(r"char|text|clob|string|enum|^set\b|^name$|^no type$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """``columns`` by name, in the table's order."""

    columns: Mapping[str, Column]
    folds_case: bool

    def named(self, name: str) -> str:
        """A column as the table writes it. Raises ``UsageError`` for one that it has not."""
        found = self._found(name)
        if found is None:
            raise UsageError(f"the table has no column {name}", hint=f"it has {', '.join(self.columns)}")
        return found

    def has(self, name: str) -> bool:
        return self._found(name) is not None

    def is_text(self, name: str) -> bool:
        """Whether nothing at all is a value of the column, too: the empty text."""
        return _TEXTS.search(self.columns[self.named(name)].declared) is not None

    def is_binary(self, name: str) -> bool:
        holds = self.columns[self.named(name)].holds
        return holds is not None and "binary" in str(holds)

    def _found(self, name: str) -> str | None:
        if name in self.columns or not self.folds_case:
            return name if name in self.columns else None
        return next((known for known in self.columns if known.casefold() == name.casefold()), None)


def described(database: Database, table: str) -> Target:
    """Also proves that the database can be reached, before anything is written."""
    from ingest.sinks.sql.databases import database_for
    from ingest.sinks.sql.tables import table_named

    try:
        connected = database_for(database.address, Path.cwd())
    except ValueError as error:
        raise UsageError(f"--connect: {error}") from None
    try:
        connected.open()
        found = connected.describe(table_named(table, ""))
    finally:
        connected.close()
    if found is None:
        raise ConnectorError(
            f"{connected.title} has no table {table}, or this user may not see it",
            hint="make it, with the types that it is to have; `ingest tables` lists those that are there",
            table=table,
        )
    return Target(found.columns, connected.folds_case)
