"""What has come into topics since somebody looked last: the events of a schedule that starts when data arrives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ingest.connectors import TopicPartition
from ingest.errors import FolderInvalid, TopicMissing
from ingest.hub.contract import Hub
from ingest.hub.embedded import EmbeddedHub
from ingest.pipelines.next_record import next_record


class Arrivals:
    """Looks at ``topics`` of the hub in a folder, again and again. Used by one thread at a time.

    With ``group``, new is what that group has not delivered. Without it, new is what comes after the first look, or
    with ``from_start`` all that is there. ``state`` (JSON values) goes on where another process has stopped.
    """

    def __init__(
        self,
        hub: str,
        topics: Sequence[str],
        *,
        group: str | None = None,
        from_start: bool = False,
        at_least: int = 1,
        state: Mapping[str, Mapping[str, int]] | None = None,
    ) -> None:
        self._hub = hub
        self._topics = topics
        self._group = group
        self._at_least = at_least
        self._begun = state is not None or from_start or group is not None
        self._told = {topic_id: dict(offsets) for topic_id, offsets in (state or {}).items()}

    @property
    def state(self) -> dict[str, dict[str, int]]:
        """Up to where arrivals were told of, by topic id and partition."""
        return self._told

    def look(self) -> dict[str, Any] | None:
        """What is new, as JSON values; None if that is nothing, or less than ``at_least`` offsets. It stays new
        until ``tell`` is called with it."""
        try:
            hub = EmbeddedHub.open(Path(self._hub), writable=False)
        except FolderInvalid:
            self._begun = True  # all of it will have come since
            return None
        try:
            return self._look(hub)
        finally:
            hub.close()

    def tell(self, event: Mapping[str, Any]) -> None:
        """``event`` was taken note of: what it names is not new any more."""
        for topic, ranges in event["offsets"].items():
            offsets = self._told.setdefault(event["topic_ids"][topic], {})
            offsets.update({partition: end for partition, (_, end) in ranges.items()})

    def _look(self, hub: Hub) -> dict[str, Any] | None:
        ids = {topic.name: topic.id for topic in hub.topics() if topic.name in self._topics}
        ends = {topic: _ends(hub, topic) for topic in ids}
        if not self._begun:
            self._begun = True
            self._told = {
                ids[topic]: {str(place.partition): end for place, end in ends[topic].items()} for topic in ids
            }
            return None
        new = {topic: ranges for topic in ids if (ranges := self._new(hub, ids[topic], ends[topic]))}
        count = sum(end - start for ranges in new.values() for start, end in ranges.values())
        if count < max(1, self._at_least):
            return None
        return {
            "hub": self._hub,
            "hub_id": hub.id,
            "topic_ids": {topic: ids[topic] for topic in new},
            "offsets": new,
            "count": count,
        }

    def _new(self, hub: Hub, topic_id: str, ends: Mapping[TopicPartition, int]) -> dict[str, list[int]]:
        delivered = hub.group_offsets(self._group) if self._group else {}
        told = self._told.get(topic_id, {})
        ranges = {}
        for place, end in ends.items():
            start = next_record(hub, place, max(told.get(str(place.partition), 0), delivered.get(place, 0)))
            if start < end:
                ranges[str(place.partition)] = [start, end]
        return ranges


def _ends(hub: Hub, topic: str) -> dict[TopicPartition, int]:
    """Empty if the topic has been deleted meanwhile."""
    try:
        places = [TopicPartition(topic, partition) for partition in range(hub.topic(topic).partitions)]
        return {place: hub.end_offset(*place) for place in places}
    except TopicMissing:
        return {}
