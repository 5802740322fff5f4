"""Writes the steps of one table. What its columns cannot hold is refused; of several steps on a key the last counts."""

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
            return self._try(steps.rows.take(np.flatnonzero(~steps.deletes)) if steps.deletes.any() else steps.rows)
        numbers = key_numbers(steps.rows.batch, self._key)
        masks = unavailable(steps.rows.batch) if self._mode == "apply" else {}
        if masks:
            batch = filled(steps.rows.batch, masks, numbers)
            steps = Steps(Rows(batch, steps.rows.origin), steps.deletes, steps.truncates)
        last = last_of_each(numbers)
        steps = steps.take(last) if len(last) < len(steps) else steps
        return self._write_each(steps)

    def _write_each(self, steps: Steps) -> int:
        """No two steps have one key: deletions may go first."""
        gone = steps.rows.take(np.flatnonzero(steps.deletes))
        done = self._run(gone.select(self._key), lambda rows: self._database.delete(self._table, rows.batch))
        there = steps.rows.take(np.flatnonzero(~steps.deletes)) if len(gone) else steps.rows
        if not len(there):
            return done
        masks = unavailable(there.batch) if self._mode == "apply" else {}
        if not masks:
            return done + (self._update(there) if self._mode == "update" else self._upsert(there))
        for missing, places in by_missing_columns(masks, len(there)):
            rows = there.take(places)
            rows = rows.select([name for name in rows.batch.schema.names if name not in missing])
            done += self._update(rows) if missing else self._upsert(rows)
        return done

    def _try(self, rows: Rows) -> int:
        return self._run(rows, lambda part: self._database.insert(self._table, part.batch))

    def _upsert(self, rows: Rows) -> int:
        return self._run(rows, lambda part: self._database.upsert(self._table, part.batch, self._key))

    def _update(self, rows: Rows) -> int:
        """Rows that are not there cannot be made: values are missing, or they are not asked for."""
        missing: list[Rows] = []

        def update(part: Rows) -> None:
            places = self._database.update(self._table, part.batch, self._key)
            if len(places):
                missing.append(part.take(places))

        done = self._run(rows, update)
        for part in missing:
            self._refuse(part, "RowMissing", "the table has no row of this key to change")
        return done - sum(map(len, missing))

    def _run(self, rows: Rows, write: Callable[[Rows], None]) -> int:
        refused = 0
        for row, refusal in write_what_can_be(self._database, rows, write):
            self._refuse(row, refusal.error, refusal.reason)
            refused += 1
        return len(rows) - refused

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
