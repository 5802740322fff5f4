"""One Parquet file being written: rows wait in memory until they make a good row group."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from ingest.failpoints import FailPoints
from ingest.sinks.lake.manifest import DataFile
from ingest.sinks.lake.store import Draft

ROW_GROUP_ROWS = 128 * 1024
"""A row group is written once so many rows wait; smaller ones only at a file's end, or when memory is short."""
_BUFFER_BYTES = 256 * 1024
_BATCH_OVERHEAD_BYTES = 1024
_COLUMN_OVERHEAD_BYTES = 400


class FileKey(NamedTuple):
    """What all rows of a file have in common."""

    topic: str
    partition: int
    folder: str


@dataclass(frozen=True, slots=True)
class WriterOptions:
    """How pages are written, and ``about``: what the footer says of sink and commit."""

    compression: str
    compression_level: int | None
    about: dict[str, Any]


class _Output(NamedTuple):
    """What a file is written through, from the disk up."""

    draft: Draft
    stream: pa.NativeFile
    writer: pq.ParquetWriter


class OpenFile:
    """``open_draft`` is called when the first row group is written, so that waiting files hold no descriptor."""

    def __init__(
        self, key: FileKey, schema: pa.Schema, options: WriterOptions, open_draft: Callable[[], Draft]
    ) -> None:
        self.key = key
        self._schema = schema
        self._options = options
        self._open_draft = open_draft
        self._output: _Output | None = None
        self._waiting: list[pa.RecordBatch] = []
        self._first_offset = -1
        self._last_offset = -1
        self._encoded_bytes = 0
        self.waiting_rows = 0
        self.waiting_bytes = 0
        self.rows = 0

    @property
    def is_open(self) -> bool:
        """Whether anything was written, so that it holds a descriptor."""
        return self._output is not None

    @property
    def held_bytes(self) -> int:
        """All that this file keeps in memory."""
        return self.waiting_bytes + (self._output.draft.held_bytes if self._output else 0)

    def append(self, batch: pa.RecordBatch, offsets: np.ndarray) -> None:
        """Takes rows of the file's schema, with their offsets."""
        if self._first_offset < 0:
            self._first_offset = int(offsets[0])
        self._last_offset = int(offsets[-1])
        self._waiting.append(batch)
        self.rows += batch.num_rows
        self.waiting_rows += batch.num_rows
        self.waiting_bytes += memory_bytes(batch)
        if self.waiting_rows >= ROW_GROUP_ROWS:
            self.write_waiting()

    def reaches(self, limit_bytes: int) -> bool:
        """Whether the file, as written, is that large. How much smaller rows get by being written is known from
        those that are; the answer yes is never a guess."""
        written = self._output.draft.size_bytes if self._output else 0
        ratio = written / self._encoded_bytes if self._encoded_bytes else 1.0
        if written + self.waiting_bytes * ratio < limit_bytes:
            return False
        self.write_waiting()
        return self._output is not None and self._output.draft.size_bytes >= limit_bytes

    def write_waiting(self) -> None:
        """Writes what waits as one row group."""
        if not self._waiting:
            return
        table = pa.Table.from_batches(self._waiting, schema=self._schema)
        self._encoded_bytes += self.waiting_bytes
        self._waiting = []
        self.waiting_rows = self.waiting_bytes = 0
        output = self._opened()
        output.writer.write_table(table, row_group_size=table.num_rows)
        output.stream.flush()

    def finish(self, fail: FailPoints) -> DataFile:
        """Writes the rest and the footer; on return the bytes are durable."""
        self.write_waiting()
        output = self._opened()
        output.writer.add_key_value_metadata({"ingest": orjson.dumps(self._about()).decode()})
        output.writer.close()
        output.stream.close()
        fail.hit("parquet.file.written")
        stored = output.draft.finish()
        fail.hit("parquet.file.synced")
        return DataFile(stored, self.rows, self.key.topic, self.key.partition, self._first_offset, self._last_offset)

    def discard(self) -> None:
        """Removes what was written; raises nothing."""
        self._waiting = []
        if self._output is not None:
            self._output.draft.discard()
            # the library would close it at some later time, from a destructor
            with contextlib.suppress(Exception):
                self._output.writer.close()

    def _opened(self) -> _Output:
        if self._output is None:
            draft = self._open_draft()
            # pages come with headers of a few bytes each: gathered, they are few calls into Python
            stream = pa.BufferedOutputStream(pa.PythonFile(draft, mode="w"), _BUFFER_BYTES)
            writer = pq.ParquetWriter(
                stream,
                self._schema,
                compression=self._options.compression,
                compression_level=self._options.compression_level,
                version="2.6",
                write_page_index=True,
                write_page_checksum=True,
            )
            self._output = _Output(draft, stream, writer)
        return self._output

    def _about(self) -> dict[str, Any]:
        return self._options.about | {
            "topic": self.key.topic,
            "partition": self.key.partition,
            "offsets": [self._first_offset, self._last_offset + 1],
        }


def memory_bytes(batch: pa.RecordBatch) -> int:
    """What a batch takes, its bookkeeping included: that is most of it where batches are tiny."""
    return int(batch.nbytes) + _BATCH_OVERHEAD_BYTES + _COLUMN_OVERHEAD_BYTES * int(batch.num_columns)
