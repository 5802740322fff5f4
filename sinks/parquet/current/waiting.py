"""Changes that wait for their commit: in memory up to a bound, then sorted by key in files that have no name, so that
whatever becomes of this process leaves nothing behind."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import pyarrow as pa

from ingest.log.storage_failure import storage
from ingest.sinks.lake.buckets import bounds
from ingest.sinks.lake.open_file import memory_bytes
from ingest.sinks.parquet.current.changes import Changes, from_batch, newest, one_after_the_other

_PIECE_BYTES = 1024 * 1024
_META_BYTES = 33


class _Piece(NamedTuple):
    """A batch of a run, and what it spans."""

    least: int
    greatest: int


class _Run:
    """Changes of different keys, sorted by their digests, in a file of batches."""

    def __init__(self, changes: Changes, folder: Path | None) -> None:
        self.size_bytes = 0
        self._pieces: list[_Piece] = []
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (it lives as long as the run)
        try:
            self._write(changes)
        except BaseException:
            self._file.close()
            raise
        self._reader = pa.ipc.open_file(pa.PythonFile(self._file, mode="r"))

    def within(self, bucket: str) -> Iterator[Changes]:
        least, greatest = bounds(bucket)
        for number, piece in enumerate(self._pieces):
            if piece.least <= greatest and piece.greatest >= least:
                yield from_batch(self._reader.get_batch(number)).within(bucket)

    def close(self) -> None:
        self._file.close()

    def _write(self, changes: Changes) -> None:
        batch = changes.as_batch()
        step = max(1, len(changes) * _PIECE_BYTES // max(1, memory_bytes(batch)))
        with pa.ipc.new_file(pa.PythonFile(self._file, mode="w"), batch.schema) as writer:
            for start in range(0, len(changes), step):
                writer.write_batch(batch.slice(start, step))
                end = min(start + step, len(changes)) - 1
                self._pieces.append(_Piece(int(changes.digests.high[start]), int(changes.digests.high[end])))
        self.size_bytes = self._file.tell()
        self._file.flush()
        self._file.seek(0)


class Waiting:
    """``memory_bytes`` bounds what is held in memory, about; ``folder`` is where the rest goes."""

    def __init__(self, memory_bytes: int, folder: Path | None) -> None:
        self._memory_bytes = memory_bytes
        self._folder = folder
        self._parts: list[Changes] = []
        self._held_bytes = 0
        self._runs: list[_Run] = []
        self.rows = 0

    @property
    def size_bytes(self) -> int:
        """All that waits."""
        return self._held_bytes + sum(run.size_bytes for run in self._runs)

    def __bool__(self) -> bool:
        return bool(self._parts or self._runs)

    def add(self, changes: Changes) -> None:
        """Takes changes, which come after all that are there."""
        if not len(changes):
            return
        self._parts.append(changes)
        self._held_bytes += memory_bytes(changes.rows) + _META_BYTES * len(changes)
        self.rows += len(changes)
        if self._held_bytes > self._memory_bytes:
            self._spill()

    def clear(self) -> None:
        """Forgets everything."""
        for run in self._runs:
            run.close()
        self._parts, self._runs = [], []
        self._held_bytes = self.rows = 0

    def touches(self, bucket: str) -> bool:
        """Whether there is a change of a key in a bucket."""
        if self._parts:
            self._in_memory()
            if len(self._parts[0].within(bucket)):
                return True
        return any(len(part) for run in self._runs for part in run.within(bucket))

    def within(self, bucket: str, schema: pa.Schema) -> Changes | None:
        """The newest change of each key in a bucket, sorted by digest; None if there is none."""
        found = [part for run in self._runs for part in run.within(bucket) if len(part)]
        if self._parts:
            self._in_memory()
            part = self._parts[0].within(bucket)
            found += [part] if len(part) else []
        return newest(one_after_the_other(found, schema)) if found else None

    def _in_memory(self) -> None:
        """What is in memory becomes one part, sorted, of different keys."""
        if len(self._parts) > 1 or (self._parts[0].digests.high[1:] < self._parts[0].digests.high[:-1]).any():
            whole = newest(one_after_the_other(self._parts, self._parts[-1].rows.schema))
            self._parts = [whole]
            self._held_bytes = memory_bytes(whole.rows) + _META_BYTES * len(whole)

    def _spill(self) -> None:
        self._in_memory()
        if self._held_bytes <= self._memory_bytes // 2:
            return
        with storage(self._folder or Path(tempfile.gettempdir()), "write changes that wait to"):
            self._runs.append(_Run(self._parts[0], self._folder))
        self._parts, self._held_bytes = [], 0
