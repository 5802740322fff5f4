"""The newest row of each key, of two tables: what Sqoop calls a merge. Memory is bounded: rows are divided into
buckets by their keys, on disk, and each bucket is looked at by itself.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from ingest.errors import UsageError
from ingest.formats.row_digests import row_digests
from ingest.formats.schema import merge

_BUCKET_BYTES = 32 * 1024 * 1024
_MOST_BUCKETS = 512
_BATCH_ROWS = 32_768
_FILE_ROWS = 5_000_000
_KEY, _SEQUENCE = "__key", "__sequence"


def write_newest(
    base: ds.Dataset, new: ds.Dataset, key: Sequence[str], newest_by: str | None, target: Path
) -> tuple[int, int, int]:
    """Writes Parquet files into ``target``, which appears whole or not at all; returns the numbers of rows of the base,
    of the new data, and of the target.

    The newest of several rows with one key is that with the greatest ``newest_by`` (null is the least), or without
    that any of the new data; among equals the later one in the new data.
    """
    schema = _schema(base, new)
    for name in [*key, *([newest_by] if newest_by else [])]:
        if name not in schema.names:
            raise UsageError(f"there is no column {name}", hint=f"columns: {', '.join(schema.names)}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch:
        buckets = _Buckets(Path(scratch), _bucket_count(base, new), schema)
        counts = [buckets.add(_batches(dataset, schema), key) for dataset in (base, new)]
        buckets.close()
        done = Path(scratch) / "done"
        rows = _write(done, (_newest(each, newest_by) for each in buckets.tables()), schema)
        done.rename(target)
    return counts[0], counts[1], rows


def _schema(base: ds.Dataset, new: ds.Dataset) -> pa.Schema:
    found = merge(base.schema, new.schema, "evolve")
    if found.clashes:
        name, old, other = found.clashes[0]
        raise UsageError(f"the column {name} is {old} in one table and {other} in the other")
    return found.schema


def _bucket_count(*datasets: ds.Dataset) -> int:
    size = sum(_uncompressed(fragment) for dataset in datasets for fragment in dataset.get_fragments())
    return max(1, min(_MOST_BUCKETS, math.ceil(2 * size / _BUCKET_BYTES)))


def _uncompressed(fragment: ds.ParquetFileFragment) -> int:
    return sum(group.total_byte_size or 0 for group in fragment.row_groups)


def _batches(dataset: ds.Dataset, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for batch in dataset.to_batches(batch_size=_BATCH_ROWS):
        columns = [
            batch.column(field.name).cast(field.type)
            if field.name in batch.schema.names
            else pa.nulls(len(batch), field.type)
            for field in schema
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


class _Buckets:
    """Rows on disk, those of one key together, each with its key's digest and its place among all."""

    def __init__(self, folder: Path, count: int, schema: pa.Schema) -> None:
        self._schema = schema.append(pa.field(_KEY, pa.binary(16))).append(pa.field(_SEQUENCE, pa.int64()))
        self._paths = [folder / f"{number}.arrow" for number in range(count)]
        self._stack = ExitStack()
        self._writers = [
            self._stack.enter_context(pa.ipc.new_file(self._stack.enter_context(path.open("wb")), self._schema))
            for path in self._paths
        ]
        self._rows = 0

    def add(self, batches: Iterator[pa.RecordBatch], key: Sequence[str]) -> int:
        before = self._rows
        for batch in batches:
            if not len(batch):
                continue
            digests = row_digests(batch.select(list(key)))
            sequence = pa.array(np.arange(self._rows, self._rows + len(batch)))
            self._rows += len(batch)
            whole = pa.RecordBatch.from_arrays([*batch.columns, digests, sequence], schema=self._schema)
            self._divide(whole, digests)
        return self._rows - before

    def _divide(self, batch: pa.RecordBatch, digests: pa.Array) -> None:
        words = np.frombuffer(digests.buffers()[1], np.uint64).reshape(-1, 2)[:, 0]
        numbers = words % len(self._writers)
        order = np.argsort(numbers, kind="stable")
        ends = np.searchsorted(numbers[order], np.arange(len(self._writers) + 1))
        for number in np.unique(numbers).tolist():
            rows = order[ends[number] : ends[number + 1]]
            self._writers[number].write_batch(batch.take(pa.array(rows)))

    def close(self) -> None:
        self._stack.close()

    def tables(self) -> Iterator[pa.Table]:
        for path in self._paths:
            with pa.memory_map(str(path)) as file:
                yield pa.ipc.open_file(file).read_all()
            path.unlink()


def _newest(bucket: pa.Table, newest_by: str | None) -> pa.Table:
    order = [(_KEY, "ascending", "at_start")]
    order += [(newest_by, "ascending", "at_start")] if newest_by else []
    sorting = [*order, (_SEQUENCE, "ascending", "at_start")]
    places = pc.sort_indices(bucket.combine_chunks(), sort_keys=sorting)
    ordered = bucket.take(places)
    keys = ordered.column(_KEY).combine_chunks()
    if not len(keys):
        return ordered.drop_columns([_KEY, _SEQUENCE])
    last = pc.not_equal(keys.slice(0, len(keys) - 1), keys.slice(1))
    mask = pa.concat_arrays([last.combine_chunks() if isinstance(last, pa.ChunkedArray) else last, pa.array([True])])
    return ordered.filter(mask).drop_columns([_KEY, _SEQUENCE])


def _write(folder: Path, tables: Iterator[pa.Table], schema: pa.Schema) -> int:
    """Synced files of about ``_FILE_ROWS`` rows; at least one, so that an empty table has its columns."""
    folder.mkdir()
    rows, number, writer = 0, 0, None
    for table in tables:
        if writer is None:
            number += 1
            writer = pq.ParquetWriter(folder / f"part-{number:05}.parquet", schema, compression="zstd")
        writer.write_table(table)
        rows += len(table)
        if rows >= number * _FILE_ROWS:
            writer.close()
            writer = None
    if writer is not None:
        writer.close()
    for path in [*folder.iterdir(), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return rows
