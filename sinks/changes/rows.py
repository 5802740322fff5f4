"""Rows on their way into a table, each with the record that it is of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from ingest.connectors import Records
from ingest.errors import ConnectorError

ORIGIN = pa.schema([("place", pa.int32()), ("offset", pa.int64()), ("row", pa.int64())])


@dataclass(frozen=True, slots=True)
class Rows:
    """``origin`` (of the schema ``ORIGIN``) names for each row of ``batch`` its record; ``place`` is a number that the
    task gives to a topic's partition."""

    batch: pa.RecordBatch
    origin: pa.RecordBatch

    def __len__(self) -> int:
        return len(self.origin)

    def take(self, places: np.ndarray) -> Rows:
        indices = pa.array(places, pa.int64())
        return Rows(self.batch.take(indices), self.origin.take(indices))

    def slice(self, offset: int, length: int | None = None) -> Rows:
        return Rows(self.batch.slice(offset, length), self.origin.slice(offset, length))

    def select(self, names: Sequence[str]) -> Rows:
        return replace(self, batch=self.batch.select(list(names)))


def origin_of(records: Records, place: int) -> pa.RecordBatch:
    """For each record; raises ``ConnectorError`` for records that were not read from a hub."""
    if records.offsets is None:
        raise ConnectorError(f"records of {records.topic}-{records.partition} came without their offsets")
    count = len(records)
    inside = pa.array(np.zeros(count, np.int64)) if records.rows is None else records.rows
    return pa.RecordBatch.from_arrays(
        [pa.array(np.full(count, place, np.int32)), records.offsets.cast(pa.int64()), inside], schema=ORIGIN
    )


def together(parts: Sequence[Rows]) -> Rows:
    """In their order. Columns that a part lacks are null; types that differ become one that holds both."""
    tables = [pa.Table.from_batches([part.batch]) for part in parts]
    same = all(table.schema.equals(tables[0].schema) for table in tables)
    table = pa.concat_tables(tables, promote_options="none" if same else "permissive").combine_chunks()
    origin = pa.Table.from_batches([part.origin for part in parts]).combine_chunks()
    return Rows(_one_batch(table), _one_batch(origin))


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    columns = [column.chunk(0) if column.num_chunks else pa.array([], column.type) for column in table.columns]
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)
