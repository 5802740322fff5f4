"""Several Parquet files written as one: a row group in memory at a time, checksums compared on the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import crc32c
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ingest.errors import ConnectorError, OutputDamaged
from ingest.failpoints import FailPoints
from ingest.formats.casting import cast_to
from ingest.sinks.lake.manifest import DataFile, StoredFile
from ingest.sinks.lake.open_file import OpenFile
from ingest.sinks.lake.partition_by import parse_all
from ingest.sinks.lake.store import Store
from ingest.sinks.lake.table_view import TableView
from ingest.sinks.parquet.compaction.plan import Merge
from ingest.sinks.parquet.file_format import ROW_GROUP_ROWS

WHOLE_BYTES = 64 * 1024 * 1024
"""Files up to this size are read in one piece; larger ones twice, once for the checksum."""
WAITING_BYTES = 64 * 1024 * 1024
"""Rows that wait to be a row group: wide ones are written as smaller groups."""
_PIECE_BYTES = 4 * 1024 * 1024


class Interrupted(Exception):
    """The program is to stop: nothing was changed."""


def target_schema(view: TableView, merge: Merge) -> pa.Schema:
    """The newest columns of the topic that files in this folder hold: not those that the folder tells."""
    told = {field.column for field in parse_all(merge.partition_by) if field.stands_for_column}
    schema = view.schemas.get(merge.topic)
    if schema is None:
        raise OutputDamaged(
            f"no manifest tells the columns of the topic {merge.topic}",
            hint="see what else is wrong with: ingest check",
        )
    return pa.schema([field for field in schema if field.name not in told])


def rewrite(
    store: Store, merge: Merge, schema: pa.Schema, output: OpenFile, fail: FailPoints, stopping: threading.Event
) -> DataFile:
    """Appends all rows to ``output`` and finishes it. Raises ``OutputDamaged`` if a file is not what its manifest
    says, ``Interrupted`` soon after ``stopping`` is set; then ``output`` is to be discarded."""
    for file in merge.files:
        rows = 0
        offsets = np.array([file.first_offset, file.last_offset])
        for batch in batches(store, file.stored):
            if stopping.is_set():
                raise Interrupted
            rows += batch.num_rows
            output.append(fitted(batch, schema, store.describe(file.stored.path)), offsets)
            if output.waiting_bytes >= WAITING_BYTES:
                output.write_waiting()
        check_count(store, file, rows)
    written = output.finish(FailPoints())
    fail.hit("compact.file.written")
    return written


def batches(store: Store, stored: StoredFile) -> Iterator[pa.RecordBatch]:
    """All rows of a file that is known to be whole; raises ``OutputDamaged`` if it is not what its manifest says."""
    with _opened(store, stored) as source, pq.ParquetFile(source) as file:
        yield from file.iter_batches(batch_size=ROW_GROUP_ROWS, use_threads=False)


def _opened(store: Store, stored: StoredFile) -> Any:
    """Raises ``OutputDamaged`` unless its bytes are those of its manifest."""
    if stored.size_bytes <= WHOLE_BYTES:
        content = store.read(stored.path)
        if content is None:
            raise _damaged(store, stored.path, "was committed, and is not there")
        _compare(store, stored, crc32c.crc32c(content))
        return pa.BufferReader(content)
    filesystem, root = store.filesystem()
    path = f"{root}/{stored.path}"
    crc = 0
    try:
        with filesystem.open_input_stream(path) as stream:
            while piece := stream.read(_PIECE_BYTES):
                crc = crc32c.crc32c(piece, crc)
    except FileNotFoundError:
        raise _damaged(store, stored.path, "was committed, and is not there") from None
    _compare(store, stored, crc)
    return filesystem.open_input_file(path)


def _compare(store: Store, stored: StoredFile, crc: int) -> None:
    if f"{crc:08x}" != stored.crc32c:
        raise _damaged(store, stored.path, "has other bytes than its manifest says")


def check_count(store: Store, file: DataFile, rows: int) -> None:
    """Raises ``OutputDamaged`` unless the file has so many rows."""
    if rows != file.rows:
        raise _damaged(store, file.stored.path, f"has {rows} rows, and its manifest says {file.rows}")


def fitted(batch: pa.RecordBatch, schema: pa.Schema, place: str) -> pa.RecordBatch:
    """With the newest columns; ``place`` names the file in the error for rows that do not fit these."""
    if batch.schema.equals(schema):
        return batch
    fitted, refused = cast_to(batch, schema)
    if refused:
        raise ConnectorError(
            f"{place} has rows that do not fit the newest columns of its topic: {refused[0].reasons[0]}",
            hint="it stays as it is; see what else is wrong with: ingest check",
            path=place,
        )
    return fitted


def _damaged(store: Store, path: str, problem: str) -> OutputDamaged:
    place = store.describe(path)
    return OutputDamaged(f"{place} {problem}", hint="restore it from a copy; see: ingest check", path=place)
