"""The commit in the making of a table of current rows: changes that wait, and then the files that they rewrite."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa

from ingest.connectors import DeadLetter, Records
from ingest.failpoints import FailPoints
from ingest.sinks.lake.buckets import digests_of, divided, leaves
from ingest.sinks.lake.file_format import FileFormat, FileKey, Refusal
from ingest.sinks.lake.manifest import DataFile
from ingest.sinks.lake.names import data_name
from ingest.sinks.lake.open_file import OpenFile
from ingest.sinks.lake.store import Draft, Store
from ingest.sinks.parquet.compaction.rewrite import batches, fitted
from ingest.sinks.parquet.current.changes import Changes, as_written, nothing
from ingest.sinks.parquet.current.merge import BucketMerge
from ingest.sinks.parquet.current.rows_of_changes import RowsOfChanges
from ingest.sinks.parquet.current.waiting import Waiting
from ingest.sinks.parquet.settings import ParquetSettings

_WRITTEN_RATIO = 0.5
"""What changes take in a file, about, beside what they take in memory."""
_ALL = -1
"""Rows of all partitions, at no offsets of their own."""
_NOWHERE = np.array([_ALL])

Refuse = Callable[[Sequence[DeadLetter]], None]


class MergedFiles:
    """``live`` are the files of the table by their buckets: before this commit and, once it is finished, by it.

    ``retires`` are the paths of those that it rewrites, ``changes`` the records that it applies."""

    def __init__(
        self,
        store: Store,
        settings: ParquetSettings,
        file_format: FileFormat,
        fail: FailPoints,
        *,
        live: Mapping[str, DataFile],
        rows: RowsOfChanges,
        refuse: Refuse,
        scratch: Path | None,
        topic: str,
        owner: str,
        writer: str,
        commit: int,
        about: Mapping[str, object],
    ) -> None:
        self._store = store
        self._settings = settings
        self._format = file_format
        self._fail = fail
        self._rows = rows
        self._refuse = refuse
        self._scratch = scratch
        self._owner = owner
        self._writer = writer
        self._commit = commit
        self._about = {**about, "commit": commit}
        self._waiting = self._new_waiting()
        self._drafts: list[Draft] = []
        self._number = 0
        self.topic = topic
        self.live = dict(live)
        self.retires: list[str] = []
        self.changes = 0

    @property
    def full(self) -> bool:
        """So much waits that a commit is due."""
        return self._waiting.size_bytes >= self._settings.merge.waiting

    def take(self, records: Records) -> None:
        """The next records of the topic."""
        before = self._rows.schema
        taken = self._rows.take(records, self._refuse_records(records))
        self.changes += len(records)
        if taken.truncates:
            self._waiting.clear()
            self._retire_all()
        if self._keys_have_changed(before):
            self._divide_anew()
        if taken.changes is not None:
            self._waiting.add(taken.changes)

    def finish(self) -> list[DataFile]:
        """Merges what waits into the files that it touches."""
        schema = self._rows.schema
        if schema is None:
            return []
        found = [file for bucket in list(leaves(self.live)) for file in self._merged(bucket, schema)]
        self._waiting.clear()
        if not self.live:
            # a table without rows is a table still: readers who look for its files find one, with its columns
            found.append(self._written("", schema, ()))
        return found

    def discard(self) -> None:
        """Removes the temporaries; what waits is forgotten. Raises nothing."""
        for draft in self._drafts:
            draft.discard()
        self._waiting.clear()

    def _merged(self, bucket: str, schema: pa.Schema) -> list[DataFile]:
        """The files that take the place of a bucket's; none if nothing in it changes."""
        if not self._waiting.touches(bucket):
            return []
        old = self.live.pop(bucket, None)
        found: list[DataFile] = []
        for part in divided(bucket, self._parts(bucket, old)):
            changes = self._waiting.within(part, schema) or nothing(schema)
            merge = BucketMerge(self._store, old, part, changes, self._rows.key, schema)
            rows = merge.rows(self._refuse_changes)
            first = next((batch for batch in rows if batch.num_rows), None)
            if first is not None:
                found.append(self._written(part, schema, chain([first], rows)))
        if old is not None:
            self.retires.append(old.stored.path)
        return found

    def _parts(self, bucket: str, old: DataFile | None) -> float:
        """Into how many files a bucket should be divided. Digests are even: it has its share of what waits."""
        share = 2.0 ** -len(bucket)
        waiting_bytes, waiting_rows = self._waiting.size_bytes * share, self._waiting.rows * share
        size = (old.stored.size_bytes if old else 0) + waiting_bytes * _WRITTEN_RATIO
        rows = (old.rows if old else 0) + waiting_rows
        roll = self._settings.roll
        return max(size / roll.bytes, rows / roll.rows, waiting_bytes / (self._settings.memory / 2))

    def _written(self, bucket: str, schema: pa.Schema, rows: Iterable[pa.RecordBatch]) -> DataFile:
        self._number += 1
        path = data_name(self._owner, self.topic, _ALL, self._commit, self._number, self._format.suffix)
        key = FileKey(self.topic, _ALL, "")
        output = OpenFile(key, schema, self._format, {**self._about, "bucket": bucket}, lambda: self._draft(path))
        for batch in rows:
            output.append(batch, _NOWHERE)
            if output.waiting_bytes >= self._settings.memory / 2:
                output.write_waiting()
        written = output.finish(self._fail)
        found = DataFile(written.stored, written.rows, self.topic, _ALL, _ALL, _ALL, bucket)
        self.live[bucket] = found
        return found

    def _draft(self, path: str) -> Draft:
        draft = self._store.draft(path, self._writer)
        self._drafts.append(draft)
        return draft

    def _retire_all(self) -> None:
        self.retires += [file.stored.path for file in self.live.values()]
        self.live.clear()

    def _keys_have_changed(self, before: pa.Schema | None) -> bool:
        """Whether a column of the key has another type now, by which the same key may have another digest."""
        after = self._rows.schema
        if before is None or after is None or before.equals(after):
            return False
        kinds = [(before.field(name).type, after.field(name).type) for name in self._rows.key if name in before.names]
        return any(
            not old.equals(new) and not (pa.types.is_integer(old) and pa.types.is_integer(new)) for old, new in kinds
        )

    def _divide_anew(self) -> None:
        """All rows wait as if they were changes, with digests of today."""
        schema = self._rows.schema
        old, self._waiting = self._waiting, self._new_waiting()
        for file in self.live.values():
            for batch in batches(self._store, file.stored):
                rows = fitted(batch, schema, self._store.describe(file.stored.path))
                self._waiting.add(as_written(rows, digests_of(rows, self._rows.key)))
        self._retire_all()
        for bucket in divided("", old.size_bytes / (self._settings.memory / 2)):
            found = old.within(bucket, schema)
            if found is not None:
                digests = digests_of(found.rows, self._rows.key)
                self._waiting.add(Changes(found.rows, digests, found.states, found.origin))
        old.clear()

    def _refuse_records(self, records: Records) -> Callable[[pa.RecordBatch, Sequence[Refusal]], None]:
        def refuse(origin: pa.RecordBatch, refused: Sequence[Refusal]) -> None:
            if refused:
                places = pa.array([item.row for item in refused])
                why = [(item.error, item.reason) for item in refused]
                self._refuse(_letters(records.topic, origin.take(places), why))

        return refuse

    def _refuse_changes(self, changes: Changes, error: str, reason: str) -> None:
        self._refuse(_letters(self.topic, changes.origin, [(error, reason)] * len(changes)))

    def _new_waiting(self) -> Waiting:
        return Waiting(self._settings.memory // 2, self._scratch)


def _letters(topic: str, origin: pa.RecordBatch, why: Sequence[tuple[str, str]]) -> list[DeadLetter]:
    partitions, offsets, inside = (column.to_pylist() for column in origin.columns)
    return [
        DeadLetter(topic, partition, offset, row, "sink", error, reason)
        for partition, offset, row, (error, reason) in zip(partitions, offsets, inside, why, strict=True)
    ]
