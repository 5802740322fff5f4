"""What a program sends inside ``with producer.transaction()``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ingest.connectors import Records
from ingest.hub.contract import Hub, HubTransaction
from ingest.hub.partitioner import Partitioner
from ingest.hub.pending import Headers, PendingBatch, Row, Value


class ProducerTransaction:
    """Used by the thread that began it. Rows go to the hub in batches; nothing is visible before the end."""

    def __init__(
        self,
        hub: Hub,
        inner: HubTransaction,
        encode: Callable[[Records], Records],
        partitioner: Partitioner,
        topic_of: Callable[[str | None], str],
        batch_bytes: int,
    ) -> None:
        self.inner = inner
        self._hub = hub
        self._encode = encode
        self._partitioner = partitioner
        self._topic_of = topic_of
        self._batch_bytes = batch_bytes
        self._batches: dict[tuple[str, int], PendingBatch] = {}

    def send(
        self,
        value: Value,
        *,
        topic: str | None = None,
        key: bytes | str | None = None,
        headers: Headers = (),
        timestamp_ms: int | None = None,
        partition: int | None = None,
    ) -> None:
        """One record, as in ``Producer.send``; what cannot be stored is raised here or at the block's end."""
        name = self._topic_of(topic)
        row = Row.of(value, key, headers, timestamp_ms)
        if partition is None:
            partition = self._partitioner.partition(name, row.key, self._hub.topic(name).partitions)
        batch = self._batches.setdefault((name, partition), PendingBatch(name, partition, 0))
        batch.add(row)
        if batch.size_bytes >= self._batch_bytes:
            del self._batches[name, partition]
            self._partitioner.turn(name)
            self.inner.append(self._encode(batch.records()), partition)

    def send_columns(self, records: Records, *, partition: int | None = None) -> None:
        """Whole columns, behind what was sent before."""
        self.send_rest()
        encoded = self._encode(replace(records, topic=self._topic_of(records.topic or None)))
        if partition is not None:
            self.inner.append(encoded, partition)
            return
        for chosen, rows in self._partitioner.split(encoded, self._hub.topic(encoded.topic).partitions):
            self.inner.append(encoded if rows is None else encoded.take(rows), chosen)

    def put_positions(self, owner: str, positions: Mapping[str, Mapping[str, Any] | None]) -> None:
        """Where the program's own input stands after this: read again by ``client.hub.positions(owner)``."""
        self.inner.put_positions(owner, positions)

    def send_rest(self) -> None:
        """Hands over what is still collected."""
        batches, self._batches = self._batches, {}
        for batch in batches.values():
            self.inner.append(self._encode(batch.records()), batch.partition)
