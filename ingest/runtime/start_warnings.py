"""What looks like a mistake when a run starts, though it may become right later: one sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Set
from fnmatch import fnmatchcase

from ingest.config import nearest
from ingest.hub.contract import Hub
from ingest.runtime.plan import Plan, SinkPlan, SourcePlan, group_of
from ingest.runtime.transform_chain import stage_name

_WILDCARDS = frozenset("*?[")


def start_warnings(plan: Plan, hub: Hub) -> Iterator[str]:
    """Called once, before the tasks start; changes nothing."""
    written = {source.topic for source in plan.sources} | {plan.errors_topic}
    filled = {topic.name for topic in hub.topics() if not topic.internal and _has_records(hub, topic.name)}
    if all(map(_names_its_topic, plan.sources)):
        for sink in plan.sinks:
            yield from _topics_without_records(sink, written | filled)
    yield from _left_behind(plan, hub)


def _names_its_topic(source: SourcePlan) -> bool:
    """Whether all that the source writes goes to the one topic that it names."""
    routes = any(stage_name(transform) == "route" for transform in source.transforms)
    return bool(source.topic) and "{" not in source.topic and not routes


def _topics_without_records(sink: SinkPlan, known: Set[str]) -> Iterator[str]:
    for topic in sink.topics:
        if topic in known or any(fnmatchcase(name, topic) for name in known):
            continue
        kind = "no topic like" if _WILDCARDS & set(topic) else "no topic"
        meant = nearest(topic, sorted(known))
        hint = f"; did you mean {meant}?" if meant else ""
        yield f"sink {sink.name}: {kind} {topic} holds records, and no source of this pipeline writes one{hint}"


def _left_behind(plan: Plan, hub: Hub) -> Iterator[str]:
    """Sinks that this pipeline had once: what they have not read is kept for ever."""
    present = {plan.sink_owner(sink.name) for sink in plan.sinks}
    for holder in hub.retention_holds():
        if holder.startswith(plan.sink_owner("")) and holder not in present:
            group = group_of(holder)
            yield (
                f"the hub keeps records for {group}, a sink that this pipeline no longer has; "
                f"to let go of them: ingest groups delete {group}"
            )


def _has_records(hub: Hub, topic: str) -> bool:
    partitions = range(hub.topic(topic).partitions)
    return any(hub.end_offset(topic, number) > hub.start_offset(topic, number) for number in partitions)
