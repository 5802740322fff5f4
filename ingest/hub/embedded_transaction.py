"""A transaction on the embedded hub."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any

from ingest.connectors import Records
from ingest.hub.contract import Appended, HubTransaction
from ingest.hub.encoding import encode
from ingest.log.store import LogStore
from ingest.log.transactions import Stamp, Transaction


class EmbeddedTransaction(HubTransaction):
    """Records go into the partitions' logs as they come: nothing is held in memory until the commit."""

    def __init__(self, store: LogStore, transaction: Transaction) -> None:
        self._store = store
        self._transaction = transaction

    def append(self, records: Records, partition: int) -> Appended:
        log = self._store.partition(records.topic, partition)
        if not len(records):
            return Appended(records.topic, partition, log.log_end_offset, 0)
        topic_id = self._store.topics.get(records.topic).id
        now_ms = self._store.env.clock.now_ms()

        def batches(stamp: Stamp) -> Iterable[bytearray]:
            return encode(records, log.config, now_ms, transactional=True, **stamp._asdict())

        info = self._transaction.append(log, topic_id, batches)
        return Appended(records.topic, partition, info.base_offset, len(records))

    def put_positions(self, owner: str, positions: Mapping[str, Mapping[str, Any] | None]) -> None:
        self._transaction.put_positions(owner, positions)

    def commit(self) -> Future[None]:
        return self._transaction.commit()

    def abort(self) -> None:
        self._transaction.abort()
