"""Changes of rows, and what is left of them when only the last of each key counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ingest.errors import ConnectorError
from ingest.formats.casting import cast_to
from ingest.sinks.changes.rows import ORIGIN
from ingest.sinks.changes.unavailable import filled, unavailable
from ingest.sinks.lake.buckets import Digests, bounds

WRITTEN, DELETED, ANEW = 0, 1, 2
"""What a change does to its key: the row is written; it is deleted; it is written, and was deleted before, so that
nothing of an older row counts."""

_META = pa.schema([("ingest.high", pa.uint64()), ("ingest.low", pa.uint64()), ("ingest.state", pa.int8()), *ORIGIN])


@dataclass(frozen=True, slots=True)
class Changes:
    """One for each of ``rows``, of which only the key's columns count where it is a deletion. ``origin`` names the
    record (of the schema ``ORIGIN``), for dead letters."""

    rows: pa.RecordBatch
    digests: Digests
    states: np.ndarray
    origin: pa.RecordBatch

    def __len__(self) -> int:
        return len(self.digests)

    def take(self, places: np.ndarray) -> Changes:
        indices = pa.array(places, pa.int64())
        return Changes(
            self.rows.take(indices), self.digests.take(places), self.states[places], self.origin.take(indices)
        )

    def slice(self, start: int, end: int) -> Changes:
        return Changes(
            self.rows.slice(start, end - start),
            Digests(self.digests.high[start:end], self.digests.low[start:end]),
            self.states[start:end],
            self.origin.slice(start, end - start),
        )

    def within(self, bucket: str) -> Changes:
        """Those of one bucket; to be asked of sorted ones."""
        least, greatest = bounds(bucket)
        start = np.searchsorted(self.digests.high, np.uint64(least))
        end = np.searchsorted(self.digests.high, np.uint64(greatest), side="right")
        return self.slice(int(start), int(end))

    def cast(self, schema: pa.Schema) -> Changes:
        """With the columns of the table as they are now."""
        if self.rows.schema.equals(schema):
            return self
        rows, refused = cast_to(self.rows, schema)
        if refused:
            raise ConnectorError(
                f"a row that waits does not fit the columns as they have become: {refused[0].reasons[0]}",
                hint="cast the column to one type for all records by a transform",
            )
        return Changes(rows, self.digests, self.states, self.origin)

    def as_batch(self) -> pa.RecordBatch:
        """Everything as columns, for the disk."""
        meta = [pa.array(self.digests.high), pa.array(self.digests.low), pa.array(self.states)]
        columns = [*self.rows.columns, *meta, *self.origin.columns]
        return pa.RecordBatch.from_arrays(columns, schema=pa.schema([*self.rows.schema, *_META]))


def from_batch(batch: pa.RecordBatch) -> Changes:
    """What ``as_batch`` has made."""
    count = batch.num_columns - len(_META)
    rows = pa.RecordBatch.from_arrays(batch.columns[:count], schema=pa.schema(list(batch.schema)[:count]))
    high, low, states = (column.to_numpy() for column in batch.columns[count : count + 3])
    return Changes(
        rows, Digests(high, low), states, pa.RecordBatch.from_arrays(batch.columns[count + 3 :], schema=ORIGIN)
    )


def one_after_the_other(parts: Sequence[Changes], schema: pa.Schema) -> Changes:
    """All of ``parts``, of which there is one at least, in their order."""
    parts = [part.cast(schema) for part in parts]
    if len(parts) == 1:
        return parts[0]
    return Changes(
        pa.concat_batches([part.rows for part in parts]),
        Digests(
            np.concatenate([part.digests.high for part in parts]),
            np.concatenate([part.digests.low for part in parts]),
        ),
        np.concatenate([part.states for part in parts]),
        pa.concat_batches([part.origin for part in parts]),
    )


def newest(changes: Changes) -> Changes:
    """The last change of each key, sorted by their digests. Values that it does not bring are those of the change
    before it, unless the row was deleted in between."""
    order = changes.digests.order()
    changes = changes.take(order) if (order[1:] < order[:-1]).any() else changes
    begins = changes.digests.begins()
    if begins.all():
        return changes
    deleted = changes.states == DELETED
    lives = begins | (changes.states == ANEW)
    lives[1:] |= deleted[:-1]
    masks = unavailable(changes.rows)
    rows = filled(changes.rows, masks, np.cumsum(lives)) if masks else changes.rows
    last = np.flatnonzero(np.append(begins[1:], True))
    states = np.where(deleted, DELETED, np.where(_after_a_new_life(begins, changes.states), ANEW, WRITTEN))
    return Changes(rows, changes.digests, states.astype(np.int8), changes.origin).take(last)


def _after_a_new_life(begins: np.ndarray, states: np.ndarray) -> np.ndarray:
    """Whether at or before each change, among those of its key, there is one after which nothing older counts."""
    ranks = np.arange(len(begins))
    first = np.maximum.accumulate(np.where(begins, ranks, 0))
    latest = np.maximum.accumulate(np.where(states != WRITTEN, ranks, -1))
    found: np.ndarray = latest >= first
    return found


def as_written(rows: pa.RecordBatch, digests: Digests) -> Changes:
    """Rows that are in the table, as changes that write them."""
    count = len(rows)
    numbers = [pa.array(np.full(count, -1, np.int32)), *[pa.array(np.full(count, -1, np.int64))] * 2]
    origin = pa.RecordBatch.from_arrays(numbers, schema=ORIGIN)
    return Changes(rows, digests, np.zeros(count, np.int8), origin)


def nothing(schema: pa.Schema) -> Changes:
    """No changes."""
    rows = pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)
    return as_written(rows, Digests(np.empty(0, np.uint64), np.empty(0, np.uint64)))
