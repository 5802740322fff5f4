"""``ingest groups``: the offsets that consumers and sinks have reported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ingest.cli.hub_folder import data_option, known_topic, not_there, open_hub, wait_option
from ingest.cli.output import json_option, print_rows
from ingest.cli.talk import Talk
from ingest.connectors import TopicPartition
from ingest.errors import UsageError

if TYPE_CHECKING:
    from ingest.hub.contract import Hub


@click.group()
def groups() -> None:
    """Groups: how far consumers and sinks have come.

    A sink's true position stands in its target; what its group shows is a report.
    """


@groups.command("list")
@data_option
@json_option
def list_groups(data: Path, as_json: bool) -> None:
    """All groups, how far they are behind, and what the hub keeps for them whatever its retention says.

    Both are counted in offsets: records, and the marks at the ends of transactions.
    """
    with open_hub(data, writable=False) as hub:
        rows = [
            {"group": group, "offsets_behind": _behind(hub, group), "offsets_kept": _kept(hub, group)}
            for group in _all(hub)
        ]
    print_rows(rows, ["group", "offsets_behind", "offsets_kept"], as_json=as_json)


@groups.command()
@click.argument("group")
@data_option
@json_option
def describe(group: str, data: Path, as_json: bool) -> None:
    """Where the group stands in each partition, where that ends, and how many offsets lie between."""
    with open_hub(data, writable=False) as hub:
        rows = _places(hub, _known(hub, group))
    print_rows(rows, ["topic", "partition", "offset", "end_offset", "offsets_behind"], as_json=as_json)


@groups.command()
@click.argument("group")
@click.option("--topic", required=True, help="The topic on which it moves, in all partitions.")
@click.option("--to", "target", required=True, metavar="earliest|latest|OFFSET", help="Where to.")
@click.option("--create", is_flag=True, help="Make the group, if there is none of that name.")
@data_option
@wait_option
@click.pass_obj
def reset(talk: Talk, group: str, topic: str, target: str, create: bool, data: Path, wait_s: float) -> None:
    """Moves a group's offsets on one topic."""
    with open_hub(data, writable=True, wait_s=wait_s) as hub:
        if not create:
            _known(hub, group, hint=" (--create makes a new one)")
        partitions = range(known_topic(hub, topic).partitions)
        offsets = {TopicPartition(topic, number): _target(hub, topic, number, target) for number in partitions}
        hub.commit_group(group, offsets)
    for place, offset in offsets.items():
        talk.say(f"{group}: {place.topic}-{place.partition} now stands at {offset}", group=group, offset=offset)


@groups.command()
@click.argument("group")
@data_option
@wait_option
@click.pass_obj
def delete(talk: Talk, group: str, data: Path, wait_s: float) -> None:
    """Forgets a group's offsets, and no longer keeps records for it that are due to go.

    For a sink that was removed from its pipeline: until then the hub keeps what that sink has not read.
    A sink that is still there takes up its position from its target when it runs again.
    """
    with open_hub(data, writable=True, wait_s=wait_s) as hub:
        kept = _kept(hub, _known(hub, group))
        hub.delete_group(group)
        for holder in _holders(hub, group):
            hub.hold_retention(holder, {})
    released = "" if kept is None else f"; {kept} offsets are no longer kept for it"
    talk.say(f"deleted {group}{released}", group=group, kept=kept)


def _known(hub: Hub, group: str, *, hint: str = "") -> str:
    if group not in _all(hub):
        error = not_there("group", group, _all(hub))
        raise UsageError(error.message, hint=f"{error.hint}{hint}", group=group)
    return group


def _all(hub: Hub) -> list[str]:
    """Also those of sinks that have reported nothing yet, and keep the log all the same."""
    from ingest.runtime.plan import group_of

    return sorted({*hub.groups(), *map(group_of, hub.retention_holds())})


def _holders(hub: Hub, group: str) -> list[str]:
    from ingest.runtime.plan import group_of

    return [holder for holder in hub.retention_holds() if group_of(holder) == group]


def _kept(hub: Hub, group: str) -> int | None:
    """How many offsets the group's sink keeps from retention; None if it keeps nothing."""
    holds = [hub.retention_holds()[holder] for holder in _holders(hub, group)]
    if not holds:
        return None
    return sum(max(0, hub.end_offset(*place) - offset) for hold in holds for place, offset in hold.items())


def _behind(hub: Hub, group: str) -> int:
    return sum(row["offsets_behind"] or 0 for row in _places(hub, group))


def _places(hub: Hub, group: str) -> list[dict[str, Any]]:
    """A row for each partition; of a topic that is gone, the end is not known."""
    topics = {topic.name for topic in hub.topics()}
    return [
        {
            "topic": place.topic,
            "partition": place.partition,
            "offset": offset,
            "end_offset": (end := hub.end_offset(*place) if place.topic in topics else None),
            "offsets_behind": None if end is None else max(0, end - offset),
        }
        for place, offset in sorted(hub.group_offsets(group).items())
    ]


def _target(hub: Hub, topic: str, partition: int, target: str) -> int:
    start, end = hub.start_offset(topic, partition), hub.end_offset(topic, partition)
    if target == "earliest":
        return start
    if target == "latest":
        return end
    if not target.isdigit() or not start <= int(target) <= end:
        raise UsageError(f"{target} is no offset of {topic}-{partition}", hint=f"it holds {start} to {end}")
    return int(target)
