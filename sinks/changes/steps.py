"""What records do to a table: write these rows, delete those, in order; and which of it is left to do for each key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ingest.sinks.changes.rows import Rows, together


@dataclass(frozen=True, slots=True)
class Steps:
    """One step for each of ``rows``. Of a row that is deleted (``deletes``) only the columns of the key count.
    ``truncates``: before the first of them, everything is deleted."""

    rows: Rows
    deletes: np.ndarray
    truncates: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, places: np.ndarray) -> Steps:
        return Steps(self.rows.take(places), self.deletes[places], self.truncates)


def in_order(parts: Sequence[Steps]) -> Steps:
    """One after the other; what stands before a truncation is void."""
    last = max((number for number, part in enumerate(parts) if part.truncates), default=0)
    kept = parts[last:]
    return Steps(together([part.rows for part in kept]), np.concatenate([p.deletes for p in kept]), kept[0].truncates)


def key_numbers(batch: pa.RecordBatch, key: Sequence[str]) -> np.ndarray:
    """A number for each row: rows have the same one where their keys are equal."""
    numbers = np.zeros(len(batch), np.int64)
    for name in key:
        codes = batch.column(name).dictionary_encode(null_encoding="encode").indices.to_numpy().astype(np.int64)
        numbers = np.unique(numbers * (int(codes.max(initial=0)) + 1) + codes, return_inverse=True)[1]
    return numbers


def last_of_each(numbers: np.ndarray) -> np.ndarray:
    """The places of the last of each number, in order."""
    last = np.zeros(int(numbers.max(initial=-1)) + 1, np.int64)
    last[numbers] = np.arange(len(numbers))  # of several with one number the last stays
    return np.sort(last)
