"""The last offset of each key, for compaction: bounded in bytes, built and asked a column at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

# Keys that were added one batch at a time are merged into the table when they have grown to this share of it.
MERGE_SHARE = 4


class KeyTable:
    """Keys are compared whole, so unlike a table of hashes it never mistakes one for another."""

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._table: Any = _table(pa.array([], pa.large_binary()), pa.array([], pa.int64()))
        self._added: list[Any] = []
        self._added_bytes = 0

    def add(self, keys: pa.Array, offsets: npt.NDArray[np.int64]) -> bool:
        """Takes in the keys of a batch (nulls count for nothing); false, and nothing taken, if it has no room."""
        batch = _last_of_each(_table(keys.cast(pa.large_binary()), pa.array(offsets)).filter(keys.is_valid()))
        if self._size() + batch.nbytes > self._budget_bytes:
            self._merge()
            if self._size() + batch.nbytes > self._budget_bytes and len(self._table):
                return False
        self._added.append(batch)
        self._added_bytes += batch.nbytes
        if self._added_bytes * MERGE_SHARE > self._budget_bytes:
            self._merge()
        return True

    def last_offsets(self, keys: pa.Array) -> npt.NDArray[np.int64]:
        """For each key its last offset; -1 for keys that are null or not in the table."""
        self._merge()
        rows = pc.index_in(keys.cast(pa.large_binary()), value_set=self._table["key"], skip_nulls=True)
        found = pc.fill_null(self._table["last"].take(rows), -1)
        return np.asarray(found.to_numpy(), np.int64)

    def __len__(self) -> int:
        self._merge()
        return len(self._table)

    def _size(self) -> int:
        return int(self._table.nbytes) + self._added_bytes

    def _merge(self) -> None:
        if self._added:
            self._table = _last_of_each(pa.concat_tables([self._table, *self._added])).combine_chunks()
            self._added, self._added_bytes = [], 0


def _table(keys: Any, offsets: Any) -> Any:
    return pa.table({"key": keys, "last": offsets})


def _last_of_each(table: Any) -> Any:
    grouped = table.group_by("key", use_threads=False).aggregate([("last", "max")])
    return _table(grouped["key"], grouped["last_max"])
