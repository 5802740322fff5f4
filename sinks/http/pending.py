"""Rows of one partition that wait to be posted, and how they are cut into batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.connectors import DeadLetter, Records, TopicPartition

_OVERHEAD_BYTES = 1
"""What separates two rows."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive rows of one partition: JSON objects, their offsets, and their places inside of records."""

    place: TopicPartition
    lines: pa.Array
    offsets: np.ndarray
    inside: np.ndarray

    def __len__(self) -> int:
        return len(self.lines)

    def slice(self, begin: int, length: int) -> Batch:
        """A part of it."""
        end = begin + length
        return Batch(self.place, self.lines.slice(begin, length), self.offsets[begin:end], self.inside[begin:end])

    def halves(self) -> tuple[Batch, Batch]:
        """Two parts; of more than one row."""
        middle = len(self) // 2
        return self.slice(0, middle), self.slice(middle, len(self) - middle)

    def letter(self, error: str, reason: str) -> DeadLetter:
        """Names its first row."""
        return DeadLetter(*self.place, int(self.offsets[0]), int(self.inside[0]), "sink", error, reason)


class PendingRows:
    """In the order of their offsets. ``end`` is the offset after all that was put."""

    def __init__(self, place: TopicPartition) -> None:
        self.place = place
        self.end = 0
        self.dead: list[DeadLetter] = []
        self._parts: list[Batch] = []
        self.rows = 0
        self.size_bytes = 0

    def add(self, records: Records) -> None:
        """Rows as JSON, with their offsets."""
        if not len(records):
            return
        lines = records.value.cast(pa.large_binary())
        offsets = np.asarray(records.offsets)
        inside = np.zeros(len(lines), np.int64) if records.rows is None else np.asarray(records.rows)
        self._parts.append(Batch(self.place, lines, offsets, inside))
        self.rows += len(lines)
        self.size_bytes += pc.sum(pc.binary_length(lines)).as_py() + _OVERHEAD_BYTES * len(lines)

    def cut(self, most_rows: int, most_bytes: int, *, force: bool) -> list[Batch]:
        """Takes out all full batches, and with ``force`` the rest. The cuts depend on the rows only, not on how they
        came: the same rows from the same offset on give the same batches."""
        if not self._parts:
            return []
        whole = self._joined()
        sizes = np.cumsum(pc.binary_length(whole.lines).to_numpy() + _OVERHEAD_BYTES)
        found, begin, before = [], 0, 0
        while begin < len(whole):
            fitting = int(np.searchsorted(sizes, before + most_bytes, side="right")) - begin
            length = max(1, min(fitting, most_rows))
            if begin + length >= len(whole) and length < most_rows and not force:
                break
            found.append(whole.slice(begin, length))
            begin += length
            before = int(sizes[begin - 1])
        self.put_back([whole.slice(begin, len(whole) - begin)])
        return found

    def put_back(self, batches: Sequence[Batch]) -> None:
        """What could not be posted stands at the beginning again; what waits behind it stays."""
        self._parts = [batch for batch in batches if len(batch)] + self._parts
        self.rows = sum(map(len, self._parts))
        self.size_bytes = sum(_size(batch) for batch in self._parts)

    def done(self) -> int:
        """The offset before which every row is posted."""
        return int(self._parts[0].offsets[0]) if self._parts else self.end

    def take_dead(self) -> list[DeadLetter]:
        """The letters of what is done; those after it wait for theirs."""
        done = self.done()
        taken = [letter for letter in self.dead if letter.offset < done]
        self.dead = [letter for letter in self.dead if letter.offset >= done]
        return taken

    def _joined(self) -> Batch:
        parts, self._parts = self._parts, []
        return Batch(
            self.place,
            pa.concat_arrays([part.lines for part in parts]),
            np.concatenate([part.offsets for part in parts]),
            np.concatenate([part.inside for part in parts]),
        )


def _size(batch: Batch) -> int:
    return int(pc.sum(pc.binary_length(batch.lines)).as_py() or 0) + _OVERHEAD_BYTES * len(batch)
