"""Rows of one topic partition on their way to files of many folders, not yet split.

Splitting each small batch by its partition values would make many tiny ones; so batches wait here whole, with a
code per row, and are split together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import pyarrow as pa

from ingest.sinks.lake.open_file import memory_bytes
from ingest.sinks.lake.partition_values import Folders

Part = tuple[pa.RecordBatch, np.ndarray]
"""Rows and their offsets."""


class Stage:
    """Batches of one schema."""

    def __init__(self) -> None:
        self._batches: list[pa.RecordBatch] = []
        self._codes: list[np.ndarray] = []
        self._offsets: list[np.ndarray] = []
        self._known: dict[str, int] = {}
        self.held_bytes = 0

    @property
    def folders(self) -> Collection[str]:
        """Where the rows will go."""
        return self._known.keys()

    def append(self, batch: pa.RecordBatch, offsets: np.ndarray, folders: Folders) -> None:
        """Takes rows; all of them have a folder (no code is -1)."""
        own = np.array([self._known.setdefault(name, len(self._known)) for name in folders.names], dtype=np.int64)
        self._batches.append(batch)
        self._codes.append(own[folders.codes])
        self._offsets.append(offsets)
        self.held_bytes += memory_bytes(batch) + 16 * batch.num_rows

    def split(self) -> Iterator[tuple[str, list[Part]]]:
        """The rows of each folder, in their order; used once, when the stage is no longer added to.

        Parts of different folders share no memory: a rare folder's row must not keep a whole batch alive.
        """
        names = list(self._known)
        if len(names) == 1:
            yield names[0], list(zip(self._batches, self._offsets, strict=True))
            return
        whole, codes, offsets = self._whole()
        order = np.argsort(codes, kind="stable")
        edges = np.flatnonzero(np.diff(codes[order])) + 1
        for rows in np.split(order, edges):
            yield names[codes[rows[0]]], [(whole.take(pa.array(rows)), offsets[rows])]

    def _whole(self) -> tuple[pa.RecordBatch, np.ndarray, np.ndarray]:
        """Everything in one piece; the pieces are let go, so that rows are in memory once."""
        whole = pa.concat_batches(self._batches)
        self._batches.clear()
        return whole, np.concatenate(self._codes), np.concatenate(self._offsets)
