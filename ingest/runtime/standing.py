"""Where a sink starts: what its target says, held against this hub.

Another hub, another topic of the same name, a newer writer, or a position outside of the log is an error that
says so. Nothing is skipped in silence.
"""

from __future__ import annotations

from collections.abc import Mapping

from ingest.connectors import SinkContext, Standing, TopicPartition
from ingest.errors import IdentityMismatch, PositionLost, SinkFenced
from ingest.hub.contract import Hub

_START_OVER = "to start over on purpose, use a new target, or see: ingest positions reset"


def standing_offsets(standing: Standing, context: SinkContext, hub: Hub) -> Mapping[TopicPartition, int]:
    """The next offsets by the target's word, checked for identity; empty for a target with no commit."""
    if standing.last is None:
        return {}
    if standing.hub_id != hub.id:
        raise IdentityMismatch(
            f"the target of {context.name} was written from the hub {standing.hub_id}, and this is {hub.id}",
            hint=f"run with the hub's former data folder; {_START_OVER}",
        )
    if standing.epoch > context.epoch:
        raise SinkFenced(
            f"the target of {context.name} was written by run {standing.epoch} of this sink, and this is run "
            f"{context.epoch}",
            hint="another process runs this pipeline, or the hub's data was restored from an older copy",
        )
    present = {topic.name: topic.id for topic in hub.topics()}
    for topic in {place.topic for place in standing.last.offsets}:
        known = standing.topic_ids.get(topic)
        if topic in present and known is not None and known != present[topic]:
            raise IdentityMismatch(
                f"the target of {context.name} was written from another topic {topic} ({known}); the one that is "
                f"there now was made later ({present[topic]})",
                hint=_START_OVER,
                topic=topic,
            )
    return standing.last.offsets


def start_offset(hub: Hub, place: TopicPartition, known: int | None, sink: str) -> int:
    """The offset to read first; ``known`` is where the sink stands, or None if it never was there."""
    first = hub.start_offset(*place)
    if known is None:
        return first
    name = f"{place.topic}-{place.partition}"
    if known < first:
        raise position_lost(place, known, first, sink)
    end = hub.end_offset(*place, committed=False)
    if known > end:
        raise IdentityMismatch(
            f"{sink} stands at offset {known} of {name}, and the log ends at {end}",
            hint=f"the hub's data is older than the target: was it restored from a copy? {_START_OVER}",
            topic=place.topic,
            partition=place.partition,
            offset=known,
        )
    return known


def position_lost(place: TopicPartition, known: int, first: int, sink: str) -> PositionLost:
    """The error for a sink whose next records were deleted."""
    return PositionLost(
        f"{sink} stands at offset {known} of {place.topic}-{place.partition}, and the log starts at {first}: "
        f"{first - known} records are gone",
        hint=f"they were deleted by hand or by retention; to go on without them: ingest positions set; {_START_OVER}",
        topic=place.topic,
        partition=place.partition,
        offset=known,
    )
