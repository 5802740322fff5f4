"""Which partition a record goes to.

By Kafka's partitioner where there is a key; else all records of a stream go to one partition, so that
the lines of a file stay in order; else round robin, a batch at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.connectors import Records
from ingest.errors import ConnectorError
from ingest.wire.keys import murmur2, partition_of


class Partitioner:
    """One per source task; remembers whose turn it is."""

    def __init__(self) -> None:
        self._turn = 0

    def split(self, records: Records, partitions: int) -> Iterator[tuple[int, Records]]:
        """The records per partition, each part in the order of the whole; keys are binary."""
        fallback = self._keyless(records.stream, partitions)
        if partitions == 1 or records.key is None:
            yield fallback, records
            return
        chosen = np.array(partition_of(records.key, partitions))
        if records.key.null_count:
            chosen[pc.is_null(records.key).to_numpy(zero_copy_only=False)] = fallback
        for partition in np.unique(chosen):
            places = np.flatnonzero(chosen == partition)
            part = records if len(places) == len(records) else records.take(pa.array(places))
            yield int(partition), part

    def _keyless(self, stream: str, partitions: int) -> int:
        if stream:
            return (int(murmur2(stream.encode())) & 0x7FFFFFFF) % partitions
        self._turn = (self._turn + 1) % partitions
        return self._turn


def with_key(records: Records, key: pa.Array | None) -> Records:
    """The records with a key as it is written: binary."""
    return replace(records, key=None if key is None else binary_key(key))


def binary_key(key: pa.Array) -> pa.Array:
    """Text as UTF-8, numbers and times as their text, bytes as they are; null stays null."""
    if isinstance(key, pa.ChunkedArray):
        key = key.combine_chunks()
    if pa.types.is_binary(key.type):
        return key
    if pa.types.is_dictionary(key.type):
        return binary_key(key.dictionary_decode())
    try:
        text = key if pa.types.is_large_binary(key.type) else pc.cast(key, pa.string())
        return pc.cast(text, pa.binary())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ConnectorError(
            f"a key cannot be of type {key.type}", hint="give an expression whose value is a text or a number"
        ) from error
