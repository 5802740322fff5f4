"""``_ingest_groups``: how far consumer groups have come, and what sinks keep retention from.

Key ``["group", name]`` or ``["hold", name]``; value ``{"topics": {topic: {"id": …, "offsets": {"0": 17}}}}``.
Offsets of a topic that was deleted, and perhaps made again, are known by the topic's id and count no more.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from ingest.connectors import TopicPartition
from ingest.log.catalogue import Topic
from ingest.log.internal_table import Entry, entries_of
from ingest.log.readable import ReadableLog

Kind = Literal["group", "hold"]
Offsets = Mapping[TopicPartition, int]


class TopicLookup(Protocol):
    """What the table needs to know of topics."""

    def get(self, name: str) -> Topic:
        """Raises ``TopicMissing``."""
        ...

    def all(self) -> Sequence[Topic]: ...


class GroupTable:
    """In memory; ``refresh`` reads on. Thread-safe."""

    def __init__(self, log: ReadableLog, topics: TopicLookup) -> None:
        self._log = log
        self._topics = topics
        self._offsets: dict[tuple[Kind, str], dict[TopicPartition, tuple[str, int]]] = {}
        self._read_to = 0
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Takes in what the log has got since the last call."""
        with self._lock:
            until = self._log.high_watermark
            for key, value in entries_of(self._log, self._read_to):
                self._take(key, value)
            self._read_to = max(self._read_to, until)

    def names(self, kind: Kind) -> Sequence[str]:
        """All with offsets."""
        with self._lock:
            return sorted(name for found, name in self._offsets if found == kind and self._alive(found, name))

    def offsets(self, kind: Kind, name: str) -> dict[TopicPartition, int]:
        """Empty for an unknown name."""
        with self._lock:
            return self._alive(kind, name)

    def lowest_hold(self, topic: str, partition: int) -> int | None:
        """Up to where the slowest holder has come; None if nobody holds the partition."""
        place = TopicPartition(topic, partition)
        with self._lock:
            held = [self._alive(kind, name).get(place) for kind, name in self._offsets if kind == "hold"]
        return min((offset for offset in held if offset is not None), default=None)

    def put(self, kind: Kind, name: str, offsets: Offsets, *, replace: bool) -> Entry:
        """Sets offsets, beside those known or (``replace``) instead of them; returns the record to append.

        Raises ``TopicMissing`` for a topic that is not there.
        """
        ids = {topic: self._topics.get(topic).id for topic in {place.topic for place in offsets}}
        with self._lock:
            known = (
                {}
                if replace
                else {
                    place: (ids.get(place.topic) or self._topics.get(place.topic).id, offset)
                    for place, offset in self._alive(kind, name).items()
                }
            )
            known |= {TopicPartition(*place): (ids[place[0]], offset) for place, offset in offsets.items()}
            if known:
                self._offsets[kind, name] = known
            else:
                self._offsets.pop((kind, name), None)
        return _key(kind, name), _value(known) if known else None

    def _alive(self, kind: Kind, name: str) -> dict[TopicPartition, int]:
        found = self._offsets.get((kind, name), {})
        ids = {topic.name: topic.id for topic in self._topics.all()} if found else {}
        return {place: offset for place, (topic_id, offset) in found.items() if ids.get(place.topic) == topic_id}

    def _take(self, key: bytes, value: bytes | None) -> None:
        kind, name = json.loads(key)
        if value is None:
            self._offsets.pop((kind, name), None)
            return
        topics: dict[str, dict[str, Any]] = json.loads(value)["topics"]
        self._offsets[kind, name] = {
            TopicPartition(topic, int(partition)): (entry["id"], offset)
            for topic, entry in topics.items()
            for partition, offset in entry["offsets"].items()
        }


def _key(kind: Kind, name: str) -> bytes:
    return json.dumps([kind, name], separators=(",", ":")).encode("ascii")


def _value(offsets: Mapping[TopicPartition, tuple[str, int]]) -> bytes:
    topics: dict[str, dict[str, Any]] = {}
    for place, (topic_id, offset) in offsets.items():
        entry = topics.setdefault(place.topic, {"id": topic_id, "offsets": {}})
        entry["offsets"][str(place.partition)] = offset
    return json.dumps({"topics": topics}, separators=(",", ":")).encode("ascii")
