"""From the records of a commit to the statements of one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from ingest.connectors import Records
from ingest.sinks.changes.reading import image_type, steps_of
from ingest.sinks.changes.record_keys import key_names
from ingest.sinks.changes.rows import Rows, origin_of
from ingest.sinks.changes.steps import Steps
from ingest.sinks.sql.database import Database
from ingest.sinks.sql.settings import SqlSinkSettings
from ingest.sinks.sql.staging import Staging
from ingest.sinks.sql.table_set import TableSet
from ingest.sinks.sql.table_writer import TableWriter
from ingest.sinks.sql.tables import Table, TableName

Refuse = Callable[[Rows, str, str], None]


@dataclass(frozen=True, slots=True)
class TableSteps:
    """``table`` is None where nothing has to be written; ``left_out`` counts tombstones that mean nothing here."""

    table: Table | None
    key: Sequence[str]
    parts: Sequence[Steps]
    left_out: int = 0


class TableLoad:
    """``prepare`` is called outside of a transaction, ``write`` within the one that commits."""

    def __init__(
        self, database: Database, tables: TableSet, settings: SqlSinkSettings, staging: Staging | None = None
    ) -> None:
        self._database = database
        self._tables = tables
        self._settings = settings
        self._staging = staging
        self._changes = settings.mode == "apply"

    def prepare(self, name: TableName, parts: Sequence[tuple[Records, int]], refuse: Refuse) -> TableSteps:
        """The steps of these records; their table is there, with the columns that they need."""
        key = self._key(name, parts)
        found: list[Steps] = []
        left_out = 0
        table = self._tables.get(name)
        for records, place in parts:
            if self._settings.mode == "insert":
                present = records.value.is_valid()
                left_out += len(records) - present.true_count
                records = records.filter(present)
            if not len(records):
                continue
            table = self._ready(name, records, key)
            steps = self._steps(records, place, key, refuse)
            if table is not None:
                found.append(self._writer(table, key, refuse).fitted(steps))
        return TableSteps(table, key, found, left_out)

    def write(self, load: TableSteps, refuse: Refuse) -> int:
        """Returns how many rows were written or deleted."""
        parts = [part for part in load.parts if len(part) or part.truncates]
        if load.table is None or not parts:
            return 0
        return self._writer(load.table, load.key, refuse).write(parts)

    def _ready(self, name: TableName, records: Records, key: Sequence[str]) -> Table | None:
        kind = image_type(records, changes=self._changes)
        wanted = [field for field in kind if not self._settings.columns or field.name in self._settings.columns]
        if not any(not pa.types.is_null(field.type) for field in wanted):
            return self._tables.get(name)
        table = self._tables.ready_for(name, pa.schema(wanted), key)
        if self._staging is None:
            return table
        waiting = self._staging.table_for(table, records.topic)
        return self._tables.ready_for(waiting.name, pa.schema(wanted), key)

    def _steps(self, records: Records, place: int, key: Sequence[str], refuse: Refuse) -> Steps:
        steps, refused = steps_of(records, place, key, changes=self._changes)
        if refused:
            origin = origin_of(records, place)
            for row, reason in refused:
                refuse(Rows(records.columns().slice(row, 1), origin.slice(row, 1)), "ChangeUnreadable", reason)
        if not self._settings.columns:
            return steps
        kept = [name for name in steps.rows.batch.schema.names if name in {*self._settings.columns, *key}]
        return Steps(steps.rows.select(kept), steps.deletes, steps.truncates)

    def _key(self, name: TableName, parts: Sequence[tuple[Records, int]]) -> Sequence[str]:
        if self._settings.key or not self._changes:
            return self._settings.key
        table = self._tables.get(name)
        if table is not None and table.key:
            return table.key
        return next((names for records, _ in parts if (names := key_names(records.key))), [])

    def _writer(self, table: Table, key: Sequence[str], refuse: Refuse) -> TableWriter:
        return TableWriter(self._database, table, key, self._settings.mode, refuse)
