"""The columns of one topic as this sink knows them, and how records are made to fit them.

The columns only grow: a new one is added, a type is widened, and rows that have no place in the result are
refused, one by one. A batch with fewer or narrower columns is cast up, so that two producers of different
versions do not make a new file at every turn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.connectors import Records
from ingest.formats.casting import cast_value
from ingest.formats.schema import merge
from ingest.sinks.lake.file_format import FileFormat, Refusal
from ingest.sinks.lake.storable import Storable, repeated_name, storable


@dataclass(frozen=True, slots=True)
class Fitted:
    """``batch`` has the topic's schema; ``rows`` are the indices in the input of its rows (None: all of them)."""

    batch: pa.RecordBatch
    rows: np.ndarray | None
    refused: list[Refusal]


class TopicColumns:
    """``schema`` is what is known so far; None before the first row."""

    def __init__(self, file_format: FileFormat, schema: pa.Schema | None = None) -> None:
        self._format = file_format
        self.schema = schema
        self._seen: pa.Schema | None = None
        self._storable: Storable | None = None
        self._repeated: str | None = None

    def grow(self, records: Records) -> bool:
        """Takes in the columns of ``records``; true if the schema has changed by it."""
        batch = records.columns()
        arriving = batch.schema
        if self._seen is not None and arriving.equals(self._seen):
            return False
        self._seen = arriving
        self._repeated = repeated_name(pa.struct(list(arriving)))
        if self._repeated is not None:
            return False
        self._storable = storable(arriving, self._format)
        kept = self._storable.kept(batch.slice(0, 0)).schema
        if not len(kept):
            return False
        merged = merge(self.schema, pa.schema([field.with_nullable(True) for field in kept])).schema
        changed = self.schema is None or not merged.equals(self.schema)
        self.schema = merged
        return changed

    def fit(self, records: Records) -> Fitted:
        """To be called after ``grow`` with the same records."""
        count = len(records)
        if self._repeated is not None:
            return self._all_refused(count, "DuplicateColumn", f"two columns are named {self._repeated}")
        if self.schema is None or self._storable is None:
            return self._all_refused(count, "NoColumns", "the value has no column that could be written")
        batch = records.columns()
        rows, refused = self._without_unwritable(batch)
        if rows is not None:
            batch = batch.take(pa.array(rows))
        kept = self._storable.kept(batch)
        if kept.schema.equals(self.schema):
            return Fitted(kept, rows, refused)
        return self._cast(kept, count if rows is None else len(rows), rows, refused)

    def _cast(self, batch: pa.RecordBatch, count: int, rows: np.ndarray | None, refused: list[Refusal]) -> Fitted:
        assert self.schema is not None
        if batch.num_columns:
            value = pa.StructArray.from_arrays(batch.columns, fields=list(batch.schema))
        else:
            value = pa.nulls(count, pa.struct(list(self.schema)))
        cast, rejected = cast_value(value, self.schema)
        if rejected:
            present = np.arange(count) if rows is None else rows
            bad = np.concatenate([item.rows.to_numpy() for item in rejected])
            reasons = [(item.error, reason) for item in rejected for reason in item.reasons]
            refused += [Refusal(int(present[row]), *why) for row, why in zip(bad, reasons, strict=True)]
            rows = np.delete(present, bad)
        return Fitted(pa.RecordBatch.from_arrays(cast.flatten(), schema=self.schema), rows, refused)

    def _without_unwritable(self, batch: pa.RecordBatch) -> tuple[np.ndarray | None, list[Refusal]]:
        assert self._storable is not None
        reasons: dict[int, str] = {}
        for index, reason in self._storable.refused.items():
            valid = batch.column(index).is_valid()
            for row in pc.indices_nonzero(valid).to_pylist():
                reasons.setdefault(row, reason)
        if not reasons:
            return None, []
        refused = [Refusal(row, "NotWritable", reasons[row]) for row in sorted(reasons)]
        return np.delete(np.arange(batch.num_rows), sorted(reasons)), refused

    def _all_refused(self, count: int, error: str, reason: str) -> Fitted:
        schema = self.schema if self.schema is not None else pa.schema([])
        empty = pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)
        return Fitted(empty, np.empty(0, np.int64), [Refusal(row, error, reason) for row in range(count)])
