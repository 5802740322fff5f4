"""What a schedule may wait for in a hub: an offset, a small lag, all records up to a time.

Each condition looks at a hub, changes nothing, and says whether it holds and by what figures. It is made from plain
values and turns into them again, since a schedule keeps it while it waits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from ingest.connectors import TopicPartition
from ingest.errors import ConfigError, FolderInvalid, TopicMissing
from ingest.hub.contract import Hub
from ingest.hub.embedded import EmbeddedHub
from ingest.pipelines.next_record import next_record


@dataclass(frozen=True, slots=True)
class Look:
    """``facts`` are JSON values: what was seen."""

    holds: bool
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Condition(ABC):
    """One thing to wait for."""

    kind: ClassVar[str]

    @abstractmethod
    def look(self, hub: Hub, now_ms: int) -> Look:
        """Raises ``TopicMissing`` for a topic that is not there yet."""

    def as_dict(self) -> dict[str, Any]:
        """JSON values, to be read by ``condition``."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class OffsetReached(Condition):
    """The topic has at least ``offset`` offsets in ``partition`` (None: in each of them); with ``group``, that group
    has delivered them."""

    kind: ClassVar[str] = "offset"
    topic: str
    offset: int
    partition: int | None = None
    group: str | None = None

    def look(self, hub: Hub, now_ms: int) -> Look:
        partitions = range(hub.topic(self.topic).partitions) if self.partition is None else [self.partition]
        places = [TopicPartition(self.topic, partition) for partition in partitions]
        if self.group is None:
            reached = {place: hub.end_offset(*place) for place in places}
        else:
            delivered = hub.group_offsets(self.group)
            reached = {place: delivered.get(place, 0) for place in places}
        facts = {"topic": self.topic, "offsets": {str(place.partition): end for place, end in reached.items()}}
        return Look(all(end >= self.offset for end in reached.values()), facts)


@dataclass(frozen=True)
class LagAtMost(Condition):
    """The group has no more than ``records`` offsets before it, over all partitions. ``topics`` are those that it
    reads; without them, those in which it has begun. A group that has never reported is not there yet."""

    kind: ClassVar[str] = "lag"
    group: str
    records: int = 0
    topics: Sequence[str] = ()

    def look(self, hub: Hub, now_ms: int) -> Look:
        delivered = hub.group_offsets(self.group)
        topics = sorted(set(self.topics) or {place.topic for place in delivered})
        lag = sum(max(0, hub.end_offset(*place) - _from(hub, place, delivered)) for place in _places(hub, topics))
        return Look(bool(delivered) and lag <= self.records, {"group": self.group, "lag": lag})


@dataclass(frozen=True)
class CompleteUpTo(Condition):
    """All records of ``topics`` with a time before ``up_to_ms`` have been delivered by ``group``.

    That a partition holds all of them is known once it holds a record of ``up_to_ms + lateness_ms`` or later: so late
    may records be. A partition in which no such record comes counts as whole when the clock is ``idle_ms`` past that.
    Records that come later still are delivered all the same, into a range of the lake that was called complete.
    """

    kind: ClassVar[str] = "complete"
    group: str
    topics: Sequence[str]
    up_to_ms: int
    lateness_ms: int = 0
    idle_ms: int = 300_000

    def look(self, hub: Hub, now_ms: int) -> Look:
        delivered = hub.group_offsets(self.group)
        waiting = [
            f"{place.topic}-{place.partition}"
            for place in _places(hub, self.topics)
            if not self._is_whole(hub, place, _from(hub, place, delivered), now_ms)
        ]
        return Look(not waiting, {"group": self.group, "up_to_ms": self.up_to_ms, "waiting_for": waiting})

    def _is_whole(self, hub: Hub, place: TopicPartition, delivered: int, now_ms: int) -> bool:
        watermark_ms = self.up_to_ms + self.lateness_ms
        passed = hub.offset_for_time(*place, watermark_ms)
        if passed is not None:
            return delivered >= passed
        return now_ms >= watermark_ms + self.idle_ms and delivered >= hub.end_offset(*place)


_KINDS: Mapping[str, type[Condition]] = {cls.kind: cls for cls in (OffsetReached, LagAtMost, CompleteUpTo)}


def condition(values: Mapping[str, Any]) -> Condition:
    """What ``as_dict`` wrote."""
    values = dict(values)
    cls = _KINDS.get(values.pop("kind", ""))
    if cls is None:
        raise ConfigError("this is no condition", hint=f"its kind is one of: {', '.join(_KINDS)}")
    return cls(**values)


def look_at(hub: str, wanted: Condition, now_ms: int) -> Look:
    """Opens the hub's folder for reading, beside whoever writes to it. A hub or a topic that is not there yet is
    not what is wanted, and no error."""
    try:
        opened = EmbeddedHub.open(Path(hub), writable=False)
    except FolderInvalid:
        return Look(False, {"missing": hub})
    try:
        return wanted.look(opened, now_ms)
    except TopicMissing as error:
        return Look(False, {"missing": str(error.facts.get("topic", ""))})
    finally:
        opened.close()


def _places(hub: Hub, topics: Sequence[str]) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for topic in topics for number in range(hub.topic(topic).partitions)]


def _from(hub: Hub, place: TopicPartition, delivered: Mapping[TopicPartition, int]) -> int:
    """What is no record, or was deleted before the group came to it, is not before it any more."""
    return next_record(hub, place, delivered.get(place, 0))
