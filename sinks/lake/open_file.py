"""One file being written: rows wait in memory until they make a good piece for its format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ingest.failpoints import FailPoints
from ingest.sinks.lake.file_format import Encoder, FileFormat, FileKey
from ingest.sinks.lake.manifest import DataFile
from ingest.sinks.lake.store import Draft

_BATCH_OVERHEAD_BYTES = 1024
_COLUMN_OVERHEAD_BYTES = 400


class _Output(NamedTuple):
    """What a file is written through, from the disk up."""

    draft: Draft
    encoder: Encoder


class OpenFile:
    """``open_draft`` is called when the first rows are written, so that waiting files hold no descriptor.
    ``about`` is what the file itself says of sink and commit, where its format has room for that."""

    def __init__(
        self,
        key: FileKey,
        schema: pa.Schema,
        file_format: FileFormat,
        about: Mapping[str, Any],
        open_draft: Callable[[], Draft],
    ) -> None:
        self.key = key
        self._schema = schema
        self._format = file_format
        self._about = about
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
        if self.waiting_rows >= self._format.chunk_rows:
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
        """Writes what waits, in one piece."""
        if not self._waiting:
            return
        table = pa.Table.from_batches(self._waiting, schema=self._schema)
        self._encoded_bytes += self.waiting_bytes
        self._waiting = []
        self.waiting_rows = self.waiting_bytes = 0
        self._opened().encoder.write(table)

    def finish(self, fail: FailPoints) -> DataFile:
        """Writes the rest; on return the bytes are durable."""
        self.write_waiting()
        output = self._opened()
        output.encoder.finish({**self._about, "topic": self.key.topic, **self._range()})
        fail.hit("lake.file.written")
        stored = output.draft.finish()
        fail.hit("lake.file.synced")
        return DataFile(stored, self.rows, self.key.topic, self.key.partition, self._first_offset, self._last_offset)

    def discard(self) -> None:
        """Removes what was written; raises nothing."""
        self._waiting = []
        if self._output is not None:
            self._output.draft.discard()
            self._output.encoder.abandon()

    def _range(self) -> dict[str, Any]:
        """Nothing for current rows, which are of all partitions, and of no offsets of their own."""
        if self.key.partition < 0:
            return {}
        return {"partition": self.key.partition, "offsets": [self._first_offset, self._last_offset + 1]}

    def _opened(self) -> _Output:
        if self._output is None:
            draft = self._open_draft()
            self._output = _Output(draft, self._format.encoder(draft, self._schema))
        return self._output


def memory_bytes(batch: pa.RecordBatch) -> int:
    """What a batch takes, its bookkeeping included: that is most of it where batches are tiny."""
    return int(batch.nbytes) + _BATCH_OVERHEAD_BYTES + _COLUMN_OVERHEAD_BYTES * int(batch.num_columns)
