"""Writes the steps of one table. What its columns cannot hold is refused; of several steps on a key the last one that
is not refused counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.sinks.changes.rows import Rows
from ingest.sinks.changes.steps import Steps, in_order, key_numbers, last_of_each
from ingest.sinks.changes.unavailable import by_missing_columns, filled, unavailable
from ingest.sinks.sql.bisecting import write_what_can_be
from ingest.sinks.sql.database import Database
from ingest.sinks.sql.fitting import double_name, fit
from ingest.sinks.sql.settings import Mode
from ingest.sinks.sql.table_set import column_name
from ingest.sinks.sql.tables import Table

Refuse = Callable[[Rows, str, str], None]
"""Takes the rows that are refused, an error in one word, and the reason."""


class TableWriter:
    """For one commit. ``fitted`` may be called outside of a transaction, ``write`` within."""

    def __init__(self, database: Database, table: Table, key: Sequence[str], mode: Mode, refuse: Refuse) -> None:
        self._database = database
        self._table = table
        self._key = list(key)
        self._mode = mode
        self._refuse = refuse

    def fitted(self, steps: Steps) -> Steps:
        """The steps whose rows the table can hold, with its names and types."""
        rows = steps.rows
        twice = double_name(rows.batch.schema.names, folds_case=self._database.folds_case)
        if twice is not None:
            self._refuse(rows, "DuplicateColumn", f"two columns are named {twice}")
            return steps.take(np.empty(0, np.int64))
        bad = np.zeros(len(steps), bool)
        named, strays = self._named(rows.batch)
        for name, column in strays.items():
            self._refuse_where(rows, bad, _mask(column.is_valid()) & ~steps.deletes, f"the table has no column {name}")
        columns = {name: self._table.columns[name] for name in named.schema.names}
        batch, reasons = fit(named, columns)
        for row, reason in reasons.items():
            if not bad[row] and not (steps.deletes[row] and not self._is_of_key(reason)):
                bad[row] = True
                self._refuse(rows.slice(row, 1), "DoesNotFit", reason)
        for name in self._key:
            where = batch.schema.get_field_index(name)
            lacking = np.ones(len(rows), bool) if where < 0 else _mask(batch.column(where).is_null())
            self._refuse_where(rows, bad, lacking, f"the column {name} of the key has no value")
        whole = Steps(Rows(batch, rows.origin), steps.deletes, steps.truncates)
        return whole.take(np.flatnonzero(~bad)) if bad.any() else whole

    def write(self, parts: Sequence[Steps]) -> int:
        """In one transaction with what stands before and after; returns how many rows were written or deleted."""
        steps = in_order(parts)
        if steps.truncates:
            self._database.truncate(self._table)
        if self._mode == "insert" or not self._key:
            rows = steps.rows.take(np.flatnonzero(~steps.deletes)) if steps.deletes.any() else steps.rows
            return len(rows) - len(self._insert(rows))
        numbers = key_numbers(steps.rows.batch, self._key)
        masks = unavailable(steps.rows.batch) if self._mode == "apply" else {}
        if masks:
            batch = filled(steps.rows.batch, masks, numbers)
            steps = Steps(Rows(batch, steps.rows.origin), steps.deletes, steps.truncates)
        return self._write_last(steps, numbers)

    def _write_last(self, steps: Steps, numbers: np.ndarray) -> int:
        """The last step of each number. Where it is refused, the one before it is what its key is left with."""
        done = 0
        waiting = np.arange(len(steps))
        while len(waiting):
            tried = waiting[last_of_each(np.unique(numbers[waiting], return_inverse=True)[1])]
            refused = tried[self._write_each(steps.take(tried) if len(tried) < len(steps) else steps)]
            done += len(tried) - len(refused)
            earlier = np.isin(numbers[waiting], numbers[refused]) & ~np.isin(waiting, refused)
            waiting = waiting[earlier]
        return done

    def _write_each(self, steps: Steps) -> np.ndarray:
        """No two steps have one key: deletions may go first. Returns the places of those that were refused."""
        gone, there = np.flatnonzero(steps.deletes), np.flatnonzero(~steps.deletes)
        refused = [gone[self._delete(steps.rows.take(gone).select(self._key))]] if len(gone) else []
        rows = steps.rows.take(there) if len(gone) else steps.rows
        masks = unavailable(rows.batch) if self._mode == "apply" else {}
        write = self._update if self._mode == "update" else self._upsert
        if not masks:
            return np.concatenate([*refused, there[write(rows)]])
        for missing, places in by_missing_columns(masks, len(rows)):
            part = rows.take(places)
            part = part.select([name for name in part.batch.schema.names if name not in missing])
            refused.append(there[places[self._update(part) if missing else write(part)]])
        return np.concatenate(refused)

    def _insert(self, rows: Rows) -> np.ndarray:
        return self._run(rows, lambda part, _: self._database.insert(self._table, part.batch))

    def _delete(self, rows: Rows) -> np.ndarray:
        return self._run(rows, lambda part, _: self._database.delete(self._table, part.batch))

    def _upsert(self, rows: Rows) -> np.ndarray:
        return self._run(rows, lambda part, _: self._database.upsert(self._table, part.batch, self._key))

    def _update(self, rows: Rows) -> np.ndarray:
        """Rows that are not there cannot be made: values are missing, or they are not asked for."""
        missing: list[np.ndarray] = []

        def update(part: Rows, start: int) -> None:
            missing.append(start + self._database.update(self._table, part.batch, self._key))

        refused = self._run(rows, update)
        lacking = np.sort(np.concatenate(missing)) if missing else np.empty(0, np.int64)
        if len(lacking):
            self._refuse(rows.take(lacking), "RowMissing", "the table has no row of this key to change")
        return np.concatenate([refused, lacking])

    def _run(self, rows: Rows, write: Callable[[Rows, int], None]) -> np.ndarray:
        """Returns the places of those that the database refused."""
        refused = []
        for place, refusal in write_what_can_be(self._database, rows, write):
            self._refuse(rows.slice(place, 1), refusal.error, refusal.reason)
            refused.append(place)
        return np.array(refused, np.int64)

    def _named(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, dict[str, pa.Array]]:
        """With the names as the table writes them; and the columns that it does not have."""
        strays: dict[str, pa.Array] = {}
        names, columns = [], []
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            known = column_name(self._table, name, self._database.folds_case)
            if known is None:
                strays[name] = column
            else:
                names.append(known)
                columns.append(column)
        return pa.RecordBatch.from_arrays(columns, names=names), strays

    def _refuse_where(self, rows: Rows, bad: np.ndarray, mask: np.ndarray, reason: str) -> None:
        places = np.flatnonzero(mask & ~bad)
        if len(places):
            bad[places] = True
            self._refuse(rows.take(places), "DoesNotFit", reason)

    def _is_of_key(self, reason: str) -> bool:
        return reason.partition(":")[0] in self._key


def _mask(array: pa.Array) -> np.ndarray:
    found: np.ndarray = np.asarray(pc.fill_null(array, False))
    return found
