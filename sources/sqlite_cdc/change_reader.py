"""Changes that triggers have written down, as columns."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ingest.connectors import DeadRecords, Origin, Records
from ingest.sources.databases.changes import Changes
from ingest.sources.databases.tables import ColumnInfo, TableInfo, quoted
from ingest.sources.sqlite.columns import batch_of, type_of
from ingest.sources.sqlite.rows import some_rows
from ingest.sources.sqlite_cdc.capture import Installed, changes_table
from ingest.sources.sqlite_cdc.source_column import source_column

_STORED = {int: "integer", float: "real", str: "text", bytes: "blob"}
_HEAD = 3
"""Number, time and kind stand before the values of a change."""


@dataclass(frozen=True, slots=True)
class Found:
    """``changes`` without those that are ``dead``: as JSON, each with a reason. ``last`` is the number of the last."""

    changes: Changes
    dead: Sequence[tuple[bytes, str]]
    last: int


class ChangeReader:
    """One captured table. What a column without a decisive declaration holds is learned from its values, and kept
    in ``kinds``: their names in SQLite, by column."""

    def __init__(self, installed: Installed, kinds: Mapping[str, Sequence[str]], name: str, database: str) -> None:
        self._installed = installed
        self._table = changes_table(installed.table)
        self.kinds = {column: set(found) for column, found in kinds.items()}
        self._name = name
        self._database = database

    def read(self, database: sqlite3.Connection, after: int, size_bytes: int) -> Found | None:
        """The next changes, None if there are none."""
        query = f"SELECT * FROM {self._table} WHERE id > ? ORDER BY id"
        rows = some_rows(database.execute(query, [after]), size_bytes)
        if not rows:
            return None
        width = len(self._installed.columns)
        befores = [row[_HEAD : _HEAD + width] for row in rows]
        afters = [row[_HEAD + width :] for row in rows]
        table = self._described([*befores, *afters])
        before, refused_before = batch_of(befores, table.columns)
        after_batch, refused_after = batch_of(afters, table.columns)
        refused = np.where(refused_before != 0, refused_before, refused_after)
        ops = [str(row[2]) for row in rows]
        changes = Changes(
            table,
            pa.array(ops, pa.string()),
            _rows(before, [op == "c" for op in ops]),
            _rows(after_batch, [op == "d" for op in ops]),
            source_column(self._name, self._database, table.name, [row[:2] for row in rows]),
            pa.array([row[1] for row in rows], pa.int64()),
        )
        last = rows[-1][0]
        assert isinstance(last, int)
        dead = [_letter(table, rows[place], int(refused[place]) - 1) for place in np.flatnonzero(refused)]
        return Found(_kept(changes, refused == 0) if dead else changes, dead, last)

    def learn(self, database: sqlite3.Connection) -> None:
        """Forgets what it has learned, and looks at the values that the table has now."""
        self.kinds = {}
        for name, declared in self._installed.columns:
            type_of(declared, lambda name=name: self._learn_from_table(database, name))  # type: ignore[misc]

    def _described(self, rows: Sequence[Sequence[object]]) -> TableInfo:
        columns = []
        for place, (name, declared) in enumerate(self._installed.columns):
            kind = type_of(declared, lambda name=name, place=place: self._learned(name, place, rows))  # type: ignore[misc]
            columns.append(ColumnInfo(name, declared or "no type", kind, quoted(name)))
        name = self._installed.table
        return TableInfo("main", name, f"main.{quoted(name)}", columns, self._installed.key)

    def _learn_from_table(self, database: sqlite3.Connection, name: str) -> set[str]:
        query = f"SELECT DISTINCT typeof({quoted(name)}) FROM {quoted(self._installed.table)}"
        self.kinds[name] = {kind for (kind,) in database.execute(query)} - {"null"}
        return self.kinds[name]

    def _learned(self, name: str, place: int, rows: Sequence[Sequence[object]]) -> set[str]:
        kinds = self.kinds.setdefault(name, set())
        kinds |= {_STORED.get(kind, "text") for kind in {type(row[place]) for row in rows} - {type(None)}}
        return kinds


def dead_records(found: Found, like: Records) -> DeadRecords:
    """What was refused, as the engine takes it."""
    content = pa.array([content for content, _ in found.dead], pa.binary())
    origin = Origin(like.origin.source, found.changes.table.stream)
    records = Records(value=content, topic=like.topic, stream=like.stream, origin=origin)
    return DeadRecords(records, [reason for _, reason in found.dead], "read", "ValueOutOfRange")


def _rows(batch: pa.RecordBatch, missing: Sequence[bool]) -> pa.StructArray:
    return pa.StructArray.from_arrays(batch.columns, fields=list(batch.schema), mask=pa.array(missing, pa.bool_()))


def _kept(changes: Changes, mask: np.ndarray) -> Changes:
    keep = pa.array(mask)
    columns = (changes.op, changes.before, changes.after, changes.source, changes.ts_ms)
    return Changes(changes.table, *(column.filter(keep) for column in columns))


def _letter(table: TableInfo, row: Sequence[object], place: int) -> tuple[bytes, str]:
    names = [column.name for column in table.columns]
    sides = {
        side: dict(zip(names, row[start : start + len(names)], strict=True))
        for side, start in (("before", _HEAD), ("after", _HEAD + len(names)))
    }
    content = json.dumps({"op": row[2], **sides}, default=_text, ensure_ascii=False).encode()
    column = table.columns[place]
    key = ", ".join(f"{name}={sides['before' if row[2] == 'd' else 'after'][name]}" for name in table.key)
    reason = f"column {column.name} ({column.database_type}) has a value that {column.type} cannot hold"
    return content, f"{reason}; key {key}" if key else reason


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
