"""From records to rows that can be written: made to fit their topic's columns, each with its folder.

Rows that cannot are named as dead letters, or stop the sink where none are tolerated.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from ingest.config import nearest
from ingest.connectors import DeadLetter, Records
from ingest.errors import ConfigError, ConnectorError, RecordRefused
from ingest.sinks.lake.file_format import FileFormat, Refusal
from ingest.sinks.lake.partition_by import PartitionField
from ingest.sinks.lake.partition_values import OF_RECORD, Folders, folders
from ingest.sinks.lake.topic_columns import TopicColumns

_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Placed:
    """Rows to be written (as the format has prepared them), their offsets and folders; and what was refused."""

    batch: pa.RecordBatch
    offsets: np.ndarray
    folders: Folders
    dead: list[DeadLetter]


class Placing:
    """Knows the columns of all topics. ``sink`` names the sink in errors."""

    def __init__(
        self,
        fields: tuple[PartitionField, ...],
        schemas: Mapping[str, pa.Schema],
        *,
        sink: str,
        tolerate: bool,
        file_format: FileFormat,
    ) -> None:
        self._fields = fields
        self._topics = {topic: TopicColumns(file_format, schema) for topic, schema in schemas.items()}
        self._format = file_format
        self._sink = sink
        self._tolerate = tolerate

    def schemas(self) -> dict[str, pa.Schema]:
        """All columns so far, by topic."""
        return {topic: columns.schema for topic, columns in self._topics.items() if columns.schema is not None}

    def place(self, records: Records) -> Placed:
        """Raises ``RecordRefused`` if a row is refused and none may be, ``ConfigError`` if the folders that are
        asked for cannot be made from these columns at all."""
        columns = self._topics.setdefault(records.topic, TopicColumns(self._format))
        if columns.grow(records) and columns.schema is not None:
            self._check_keys(columns.schema)
        fitted = columns.fit(records)
        dead = self._refuse(records, fitted.refused)
        if fitted.rows is not None:
            records = records.take(pa.array(fitted.rows))
        if reason := self._lacks_a_key({*fitted.batch.schema.names, *records.columns().schema.names}):
            everything = range(len(records))
            dead += self._refuse(records, [Refusal(row, "PartitionColumnMissing", reason) for row in everything])
            fitted, records = replace(fitted, batch=fitted.batch.slice(0, 0)), records.slice(0, 0)
        batch, placed = fitted.batch, folders(fitted.batch, records, self._fields)
        if placed.refused:
            homeless = np.flatnonzero(placed.codes < 0).tolist()
            dead += self._refuse(records, [Refusal(row, "BadPartitionValue", placed.refused) for row in homeless])
            keep = pa.array(placed.codes >= 0)
            batch, records = batch.filter(keep), records.filter(keep)
            placed = replace(placed, codes=placed.codes[placed.codes >= 0])
        prepared = self._format.prepare(self._without_keys(batch))
        if not prepared.refused:
            return Placed(prepared.batch, _offsets(records), placed, dead)
        dead += self._refuse(records, prepared.refused)
        rows = np.delete(np.arange(len(records)), [item.row for item in prepared.refused])
        placed = replace(placed, codes=placed.codes[rows])
        return Placed(prepared.batch, _offsets(records)[rows], placed, dead)

    def _lacks_a_key(self, columns: Collection[str]) -> str:
        """Why rows of these columns have no folder; "" if they have. A column that is there now and then is one of
        the topic's from its first record on, and null in those without it: this is one that nobody has ever seen."""
        for field in self._fields:
            if field.column not in columns and field.column not in OF_RECORD:
                meant = nearest(field.column, sorted(columns))
                known = f"did you mean {meant}?" if meant else f"there are {', '.join(sorted(columns)[:_MOST_NAMED])}"
                return f"partition_by needs a column {field.column}, and no record had one so far; {known}"
        return ""

    def _without_keys(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Columns that the folder tells are left out of the file, as Hive does."""
        names = [field.column for field in self._fields if field.stands_for_column]
        told = [name for name in names if name in batch.schema.names]
        return batch.drop_columns(told) if told else batch

    def _check_keys(self, schema: pa.Schema) -> None:
        told = {field.column for field in self._fields if field.stands_for_column}
        for field in self._fields:
            if field.key in schema.names and not field.stands_for_column:
                # the folder says one value, the file another: readers would not agree
                raise ConfigError(
                    f"partition_by makes folders {field.key}=, and the values have a column {field.key}, too",
                    hint=f"name the folder otherwise: {field.cut or ''}({field.column}) as other_name",
                    setting="partition_by",
                )
        if told.issuperset(schema.names):
            raise ConfigError(
                "partition_by takes every column of the values, and nothing is left to write",
                hint="leave one column out of partition_by",
                setting="partition_by",
            )

    def _refuse(self, records: Records, refused: Sequence[Refusal]) -> list[DeadLetter]:
        if not refused:
            return []
        offsets = _offsets(records)
        inside = np.zeros(len(records), np.int64) if records.rows is None else records.rows.to_numpy()
        place = (records.topic, records.partition or 0)
        return tolerated(
            [
                DeadLetter(*place, int(offsets[item.row]), int(inside[item.row]), "sink", item.error, item.reason)
                for item in refused
            ],
            tolerate=self._tolerate,
            sink=self._sink,
        )


def tolerated(letters: list[DeadLetter], *, tolerate: bool, sink: str) -> list[DeadLetter]:
    """``letters``; raises ``RecordRefused`` for the first of them if none may be."""
    if tolerate or not letters:
        return letters
    first = letters[0]
    raise RecordRefused(
        f"{first.topic}-{first.partition} offset {first.offset}: {first.reason}",
        hint="set errors.tolerance to dead-letter to keep such records apart and go on",
        topic=first.topic,
        partition=first.partition,
        offset=first.offset,
        sink=sink,
    )


def _offsets(records: Records) -> np.ndarray:
    if records.offsets is None:
        raise ConnectorError(f"records of {records.topic}-{records.partition} came without their offsets")
    found: np.ndarray = records.offsets.to_numpy()
    return found
