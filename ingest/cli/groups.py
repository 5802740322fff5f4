"""``ingest groups``: the offsets that consumers and sinks have reported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ingest.cli.hub_folder import data_option, open_hub, wait_option
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
    """All groups, with their total lag."""
    with open_hub(data, writable=False) as hub:
        rows = [{"group": group, "lag": sum(row["lag"] or 0 for row in _lags(hub, group))} for group in hub.groups()]
    print_rows(rows, ["group", "lag"], as_json=as_json)


@groups.command()
@click.argument("group")
@data_option
@json_option
def describe(group: str, data: Path, as_json: bool) -> None:
    """Offset, end and lag of each partition."""
    with open_hub(data, writable=False) as hub:
        rows = _lags(hub, _known(hub, group))
    print_rows(rows, ["topic", "partition", "offset", "end_offset", "lag"], as_json=as_json)


@groups.command()
@click.argument("group")
@click.option("--topic", required=True)
@click.option("--to", "target", required=True, metavar="earliest|latest|OFFSET", help="Where to.")
@data_option
@wait_option
@click.pass_obj
def reset(talk: Talk, group: str, topic: str, target: str, data: Path, wait_s: float) -> None:
    """Moves a group's offsets on one topic."""
    with open_hub(data, writable=True, wait_s=wait_s) as hub:
        partitions = range(hub.topic(topic).partitions)
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
    """Forgets a group's offsets."""
    with open_hub(data, writable=True, wait_s=wait_s) as hub:
        hub.delete_group(_known(hub, group))
    talk.say(f"deleted {group}", group=group)


def _known(hub: Hub, group: str) -> str:
    if group not in hub.groups():
        raise UsageError(f"no group {group}", hint=f"known groups: {', '.join(hub.groups()) or 'none'}")
    return group


def _lags(hub: Hub, group: str) -> list[dict[str, Any]]:
    rows = []
    topics = {topic.name for topic in hub.topics()}
    for place, offset in sorted(hub.group_offsets(group).items()):
        gone = place.topic not in topics
        end = None if gone else hub.end_offset(place.topic, place.partition)
        lag = None if end is None else max(0, end - offset)
        rows.append(
            {"topic": place.topic, "partition": place.partition, "offset": offset, "end_offset": end, "lag": lag}
        )
    return rows


def _target(hub: Hub, topic: str, partition: int, target: str) -> int:
    start, end = hub.start_offset(topic, partition), hub.end_offset(topic, partition)
    if target == "earliest":
        return start
    if target == "latest":
        return end
    if not target.isdigit() or not start <= int(target) <= end:
        raise UsageError(f"{target} is no offset of {topic}-{partition}", hint=f"it holds {start} to {end}")
    return int(target)
