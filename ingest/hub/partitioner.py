"""Which partition a program's record goes to."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.connectors import Records
from ingest.wire.keys import murmur2, partition_of

Choose = Callable[[bytes | None, int], int]
"""A partitioner of the program's own: the key and the number of partitions to a partition."""


class Partitioner:
    """As Kafka's: by the key's hash; without a key, one partition at a time until ``turn`` is called (sticky)."""

    def __init__(self, choose: Choose | None = None) -> None:
        self._choose = choose
        self._turns: dict[str, int] = {}

    def partition(self, topic: str, key: bytes | None, partitions: int) -> int:
        """For one record."""
        if self._choose is not None:
            return self._choose(key, partitions)
        if key is not None:
            return (int(murmur2(key)) & 0x7FFFFFFF) % partitions
        return self._turns.get(topic, 0) % partitions

    def turn(self, topic: str) -> None:
        """A batch is full: records without a key go to the next partition from now on."""
        self._turns[topic] = self._turns.get(topic, 0) + 1

    def split(self, records: Records, partitions: int) -> Iterator[tuple[int, pa.Array | None]]:
        """For columns: each partition with the rows that go there (None: all), in their order."""
        if self._choose is None and records.key is None:
            yield self.partition(records.topic, None, partitions), None
            self.turn(records.topic)
            return
        chosen = self._chosen(records, partitions)
        for partition in np.unique(chosen):
            rows = np.flatnonzero(chosen == partition)
            yield int(partition), None if len(rows) == len(records) else pa.array(rows)

    def _chosen(self, records: Records, partitions: int) -> np.ndarray:
        keys = records.key if records.key is not None else pa.nulls(len(records), pa.binary())
        if self._choose is not None:
            return np.array([self._choose(key, partitions) for key in keys.cast(pa.binary()).to_pylist()], np.int64)
        chosen = np.array(partition_of(keys, partitions))
        if keys.null_count:
            sticky = self.partition(records.topic, None, partitions)
            chosen[pc.is_null(keys).to_numpy(zero_copy_only=False)] = sticky
        return chosen
