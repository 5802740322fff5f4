"""The topic of a pipeline's dead letters: whatever comes, it fits."""

from __future__ import annotations

from dataclasses import replace

import pyarrow.compute as pc

from ingest.connectors import Records
from ingest.hub.contract import Hub, HubTransaction, TopicInfo
from ingest.runtime.partitioning import Partitioner
from ingest.runtime.topics import BATCH_OVERHEAD_BYTES, Topics, max_message_bytes, record_sizes


class DeadLetterTopic:
    """Used by one task; several may write to the same topic."""

    def __init__(self, hub: Hub, topics: Topics, name: str) -> None:
        self._hub = hub
        self._topics = topics
        self._partitioner = Partitioner()
        self.name = name

    def append(self, transaction: HubTransaction, letters: Records) -> int:
        """Appends letters as part of the transaction, makes the topic first if need be; returns how many."""
        if not len(letters):
            return 0
        info = self._with_room(self._topics.for_bytes(self.name), letters)
        addressed = replace(letters, topic=self.name)
        for partition, part in self._partitioner.split(addressed, info.partitions):
            transaction.append(part, partition)
        return len(letters)

    def _with_room(self, info: TopicInfo, letters: Records) -> TopicInfo:
        """A letter is larger than the record was, by its headers; the topic's limit grows with it."""
        largest = pc.max(record_sizes(letters)).as_py() + BATCH_OVERHEAD_BYTES
        if largest <= max_message_bytes(info):
            return info
        return self._hub.alter_topic(info.name, config={"max.message.bytes": str(2 * largest)})
