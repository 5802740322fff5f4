"""Tables in which rows wait until all of them are there, and then go to their table in one transaction."""

from __future__ import annotations

from collections.abc import Mapping

from ingest.errors import ConnectorError
from ingest.sinks.sql.database import Database, RowsRefused
from ingest.sinks.sql.settings import SqlSinkSettings
from ingest.sinks.sql.table_set import TableSet
from ingest.sinks.sql.tables import Table, TableName, staging_named


class Staging:
    """``staged`` names the tables that wait by the last commit, as the target has it stored."""

    def __init__(
        self, database: Database, tables: TableSet, settings: SqlSinkSettings, staged: Mapping[TableName, TableName]
    ) -> None:
        self._database = database
        self._tables = tables
        self._settings = settings
        self.staged = dict(staged)

    def table_for(self, table: Table, topic: str) -> Table:
        """Where the rows of ``table`` are written for now. Called outside of a transaction."""
        name = staging_named(self._settings.staging_table, table.name, topic)
        staging = self._tables.ready_like(name, table)
        if table.name not in self.staged:
            self._check_is_ours(staging)
            self.staged[table.name] = name
        return staging

    def move(self) -> None:
        """All rows that wait, to their tables. To be called within a transaction."""
        for name, waiting in self.staged.items():
            table, staging = self._tables.get(name), self._tables.get(waiting)
            if table is None or staging is None:
                raise ConnectorError(f"rows of {name} wait in {waiting}, and one of the tables is gone")
            try:
                self._move(table, staging)
            except RowsRefused as refusal:
                raise ConnectorError(
                    f"the rows in {waiting} cannot go to {name}: {refusal.reason}",
                    hint="nothing was written; mend the rows in the one or the other, and run it again",
                    table=str(name),
                ) from None
        self.staged.clear()

    def _move(self, table: Table, staging: Table) -> None:
        if self._settings.load == "replace":
            self._database.truncate(table)
        if self._settings.mode == "upsert" and self._settings.load == "staged":
            self._database.upsert_from(table, staging, self._settings.key)
        else:
            self._database.insert_from(table, staging)
        self._database.truncate(staging)

    def _check_is_ours(self, staging: Table) -> None:
        if self._database.is_empty(staging):
            return
        if not self._settings.clear_staging:
            raise ConnectorError(
                f"the staging table {staging.name} has rows that this sink has not written",
                hint="look what they are; clear_staging: true deletes them",
                table=str(staging.name),
            )
        self._database.truncate(staging)
