"""From the records of a topic to changes of rows that the table can hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.config import nearest
from ingest.connectors import Records
from ingest.errors import ConfigError
from ingest.sinks.changes.reading import steps_of
from ingest.sinks.changes.record_keys import key_names
from ingest.sinks.changes.rows import Rows, origin_of
from ingest.sinks.changes.steps import Steps
from ingest.sinks.lake.buckets import digests_of
from ingest.sinks.lake.file_format import FileFormat, Refusal
from ingest.sinks.lake.topic_columns import TopicColumns
from ingest.sinks.parquet.current.changes import DELETED, WRITTEN, Changes

_MOST_NAMED = 20

Refuse = Callable[[pa.RecordBatch, Sequence[Refusal]], None]
"""Takes origins of records, and which of them are refused, and why."""


@dataclass(frozen=True, slots=True)
class Taken:
    """``changes`` of a batch of records; ``truncates``: everything before them is void."""

    changes: Changes | None
    truncates: bool


class RowsOfChanges:
    """Knows the ``key`` and the columns of the table, which grow. ``asked_key`` is that of the settings, if any."""

    def __init__(self, file_format: FileFormat, asked_key: Sequence[str], key: Sequence[str], schema: pa.Schema | None):
        self.key = tuple(asked_key or key)
        self._columns = TopicColumns(file_format, schema)

    @property
    def schema(self) -> pa.Schema | None:
        """The table's columns; None before the first row."""
        return self._columns.schema

    def take(self, records: Records, refuse: Refuse) -> Taken:
        """Raises ``ConfigError`` if rows cannot be told apart by any key."""
        if not (pa.types.is_struct(records.value.type) or pa.types.is_null(records.value.type)):
            raise ConfigError(
                f"mode apply keeps rows of columns, and the values of {records.topic} are {records.value.type}",
                hint="parse them first, or keep the history: mode: insert",
                setting="mode",
            )
        if not self.key:
            self.key = tuple(key_names(records.key))
        steps, refused = steps_of(records, records.partition or 0, self.key, changes=True, columns=self.schema)
        if not self.key and (len(steps) or refused):
            raise no_key(records.topic)
        if refused:
            origin = origin_of(records, records.partition or 0)
            refuse(origin, [Refusal(row, "ChangeUnreadable", reason) for row, reason in refused])
        if not len(steps):
            return Taken(None, steps.truncates)
        return Taken(self._changes(records, _keys_only_of_deletes(steps, self.key), refuse), steps.truncates)

    def _changes(self, records: Records, steps: Steps, refuse: Refuse) -> Changes | None:
        if self.schema is None and steps.deletes.all():
            return None
        rows = steps.rows.batch
        _, offsets, inside = steps.rows.origin.columns
        value = pa.StructArray.from_arrays(rows.columns, fields=list(rows.schema))
        as_records = Records(
            value=value, topic=records.topic, partition=records.partition, offsets=offsets, rows=inside
        )
        self._columns.grow(as_records)
        self._check_key()
        fitted = self._columns.fit(as_records)
        refuse(steps.rows.origin, fitted.refused)
        if fitted.rows is not None:
            steps = steps.take(fitted.rows)
        batch = fitted.batch
        lacking = _lacking(batch, self.key)
        if lacking.any():
            reason = f"a column of the key ({', '.join(self.key)}) has no value"
            refuse(steps.rows.origin, [Refusal(row, "KeyMissing", reason) for row in np.flatnonzero(lacking).tolist()])
            places = np.flatnonzero(~lacking)
            steps, batch = steps.take(places), batch.take(pa.array(places))
        if not len(batch):
            return None
        states = np.where(steps.deletes, DELETED, WRITTEN).astype(np.int8)
        return Changes(batch, digests_of(batch, self.key), states, steps.rows.origin)

    def _check_key(self) -> None:
        names = [] if self.schema is None else self.schema.names
        unknown = [name for name in self.key if name not in names]
        if names and unknown:
            meant = nearest(unknown[0], names)
            raise ConfigError(
                f"the key is {', '.join(self.key)}, and the rows have no column {unknown[0]}",
                hint=f"did you mean {meant}?" if meant else f"columns: {', '.join(names[:_MOST_NAMED])}",
                setting="key",
            )


def no_key(topic: str) -> ConfigError:
    """The error for records that have no key, where none is told by the settings."""
    return ConfigError(
        f"mode apply keeps the newest row of each key, and the records of {topic} have no key that names columns",
        hint="name the columns that tell rows apart: key: [id]; or keep the history: mode: insert",
        setting="key",
    )


def _keys_only_of_deletes(steps: Steps, key: Sequence[str]) -> Steps:
    """Whatever else a deletion tells of its row must not be a reason to refuse it."""
    if not steps.deletes.any():
        return steps
    batch, gone = steps.rows.batch, pa.array(steps.deletes)
    columns = [
        column if field.name in key or pa.types.is_null(field.type) else _null_where(gone, column)
        for field, column in zip(batch.schema, batch.columns, strict=True)
    ]
    blank = pa.RecordBatch.from_arrays(columns, schema=batch.schema)
    return Steps(Rows(blank, steps.rows.origin), steps.deletes, steps.truncates)


def _null_where(mask: pa.Array, column: pa.Array) -> pa.Array:
    return pc.if_else(mask, pa.scalar(None, column.type), column)


def _lacking(batch: pa.RecordBatch, key: Sequence[str]) -> np.ndarray:
    lacking = np.zeros(len(batch), bool)
    for name in key:
        at = batch.schema.get_field_index(name)
        lacking |= np.asarray(batch.column(at).is_null()) if at >= 0 else True
    return lacking
