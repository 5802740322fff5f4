"""One bucket written anew: the old file streamed past the changes, what they replace left out, then what they write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.sinks.changes.unavailable import unavailable
from ingest.sinks.lake.buckets import digests_of
from ingest.sinks.lake.manifest import DataFile
from ingest.sinks.lake.store import Store
from ingest.sinks.parquet.compaction.rewrite import batches, check_count, fitted
from ingest.sinks.parquet.current.changes import ANEW, DELETED, Changes

Refuse = Callable[[Changes, str, str], None]
"""Takes the changes that are refused, an error in one word, and the reason."""


class BucketMerge:
    """``changes``, of different keys, sorted by digest, onto the rows of ``old`` that belong to ``bucket``.

    Memory holds the changes, and of the old file one row group."""

    def __init__(
        self, store: Store, old: DataFile | None, bucket: str, changes: Changes, key: Sequence[str], schema: pa.Schema
    ) -> None:
        self._store = store
        self._old = old
        self._bucket = bucket
        self._changes = changes
        self._key = key
        self._schema = schema
        self._masks = unavailable(changes.rows)
        self._done = changes.states == DELETED

    def rows(self, refuse: Refuse) -> Iterator[pa.RecordBatch]:
        """All rows of the new file. Used once."""
        if self._old is not None:
            yield from self._old_rows(self._old)
        self._refuse_incomplete(refuse)
        left = np.flatnonzero(~self._done)
        if len(left):
            yield self._changes.rows.take(pa.array(left)) if len(left) < len(self._done) else self._changes.rows

    def _old_rows(self, old: DataFile) -> Iterator[pa.RecordBatch]:
        count = 0
        for each in batches(self._store, old.stored):
            count += each.num_rows
            batch = fitted(each, self._schema, self._store.describe(old.stored.path))
            digests = digests_of(batch, self._key)
            inside = digests.within(self._bucket)
            places = digests.places_in(self._changes.digests)
            kept = inside & (places < 0)
            if kept.any():
                yield batch if kept.all() else batch.filter(pa.array(kept))
            if self._masks:
                met = np.flatnonzero(inside & (places >= 0))
                yield from self._completed(batch.take(pa.array(met)), places[met])
        check_count(self._store, old, count)

    def _completed(self, old: pa.RecordBatch, places: np.ndarray) -> Iterator[pa.RecordBatch]:
        """The changes at ``places`` that lack values, which they have from their ``old`` rows: written at once, for
        these values may be large."""
        lacking = np.zeros(len(self._changes), bool)
        for mask in self._masks.values():
            lacking |= mask
        lacking &= ~self._done & (self._changes.states != ANEW)
        chosen = np.flatnonzero(lacking[places])
        if not len(chosen):
            return
        places = places[chosen]
        batch = self._changes.rows.take(pa.array(places))
        for name, mask in self._masks.items():
            at = batch.schema.get_field_index(name)
            column = pc.if_else(pa.array(mask[places]), old.column(name).take(pa.array(chosen)), batch.column(at))
            batch = batch.set_column(at, batch.schema.field(at), column)
        self._done[places] = True
        yield batch

    def _refuse_incomplete(self, refuse: Refuse) -> None:
        for name, mask in self._masks.items():
            places = np.flatnonzero(mask & ~self._done)
            if len(places):
                self._done[places] = True
                reason = f"the source did not send the value of {name}, and no earlier row of this key has it"
                refuse(self._changes.take(places), "RowMissing", reason)
