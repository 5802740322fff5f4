"""``ingest topics``: list, create, describe, alter, delete."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ingest.cli.exit_codes import named_on_command_line
from ingest.cli.hub_folder import data_option, known_topic, open_hub, wait_option
from ingest.cli.output import confirm, json_option, print_json, print_rows
from ingest.cli.talk import Talk
from ingest.errors import UsageError

if TYPE_CHECKING:
    from ingest.hub.contract import Hub, TopicInfo

config_option = click.option(
    "--config",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A topic setting by Kafka's name, such as retention.ms=86400000.",
)


@click.group()
def topics() -> None:
    """Topics of a hub: what is in them, and their settings (Kafka's names and defaults)."""


@topics.command("list")
@click.option("--all", "internal", is_flag=True, help="Internal topics, too.")
@data_option
@json_option
def list_topics(internal: bool, data: Path, as_json: bool) -> None:
    """All topics with their sizes, counted in offsets: records, and the marks at the ends of transactions."""
    with open_hub(data, writable=False) as hub:
        found = [_summary(hub, topic) for topic in hub.topics() if internal or not topic.internal]
    print_rows(found, ["topic", "partitions", "offsets", "format"], as_json=as_json)


@topics.command()
@click.argument("topic")
@data_option
@json_option
def describe(topic: str, data: Path, as_json: bool) -> None:
    """Partitions with their offsets, settings, and the format and schema of the values.

    Offsets count records, and the marks at the ends of transactions.
    """
    with open_hub(data, writable=False) as hub:
        info = known_topic(hub, topic)
        rows = [_partition(hub, topic, number) for number in range(info.partitions)]
        details = _details(hub, info)
    if as_json:
        print_json({**details, "partitions": rows})
        return
    for name, value in details.items():
        if isinstance(value, dict):
            click.echo(f"{name}:" + ("" if value else " -"))
            for key, item in value.items():
                click.echo(f"  {key}: {item}")
        else:
            click.echo(f"{name}: {value}")
    print_rows(rows, ["partition", "start_offset", "end_offset", "offsets"], as_json=False)


@topics.command()
@click.argument("topic")
@click.option("--partitions", type=click.IntRange(1, 10_000), default=1, show_default=True, help="How many.")
@config_option
@data_option
@wait_option
@click.pass_obj
def create(talk: Talk, topic: str, partitions: int, settings: tuple[str, ...], data: Path, wait_s: float) -> None:
    """Makes a topic."""
    with open_hub(data, writable=True, wait_s=wait_s, create=True) as hub, named_on_command_line():
        hub.create_topic(topic, partitions, _pairs(settings))
    talk.say(f"created {topic} with {partitions} partition{'s' if partitions > 1 else ''}", topic=topic)


@topics.command()
@click.argument("topic")
@click.option("--partitions", type=click.IntRange(1, 10_000), help="Grow to this many partitions.")
@config_option
@click.option("--unset", multiple=True, metavar="NAME", help="A setting to put back to its default.")
@data_option
@wait_option
@click.pass_obj
def alter(
    talk: Talk,
    topic: str,
    partitions: int | None,
    settings: tuple[str, ...],
    unset: tuple[str, ...],
    data: Path,
    wait_s: float,
) -> None:
    """Adds partitions, sets or unsets settings."""
    changes: dict[str, str | None] = {**_pairs(settings), **dict.fromkeys(unset)}
    if partitions is None and not changes:
        raise UsageError("nothing to alter", hint="name --partitions, --config or --unset")
    with open_hub(data, writable=True, wait_s=wait_s) as hub, named_on_command_line():
        hub.alter_topic(known_topic(hub, topic).name, partitions=partitions, config=changes)
    talk.say(f"altered {topic}", topic=topic)


@topics.command()
@click.argument("topic")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
@wait_option
@click.pass_obj
def delete(talk: Talk, topic: str, yes: bool, data: Path, wait_s: float) -> None:
    """Removes a topic and all its records."""
    with open_hub(data, writable=True, wait_s=wait_s) as hub:
        summary = _summary(hub, known_topic(hub, topic))
        confirm(f"delete {topic} with {summary['offsets']} offsets?", yes)
        with named_on_command_line():
            hub.delete_topic(topic)
    talk.say(f"deleted {topic}", topic=topic)


def _pairs(settings: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for setting in settings:
        name, separator, value = setting.partition("=")
        if not separator:
            raise UsageError(f"{setting} is no setting", hint="write NAME=VALUE, such as retention.ms=86400000")
        pairs[name] = value
    return pairs


def _partition(hub: Hub, topic: str, partition: int) -> dict[str, int]:
    start, end = hub.start_offset(topic, partition), hub.end_offset(topic, partition)
    return {"partition": partition, "start_offset": start, "end_offset": end, "offsets": end - start}


def _format(hub: Hub, topic: str) -> Any:
    from ingest.hub.topic_formats import TopicFormats

    return TopicFormats(hub).get(topic)


def _summary(hub: Hub, info: TopicInfo) -> dict[str, Any]:
    offsets = sum(_partition(hub, info.name, number)["offsets"] for number in range(info.partitions))
    found = _format(hub, info.name)
    return {
        "topic": info.name,
        "partitions": info.partitions,
        "offsets": offsets,
        "format": found.format if found else None,
    }


def _details(hub: Hub, info: TopicInfo) -> dict[str, Any]:
    found = _format(hub, info.name)
    details: dict[str, Any] = {"topic": info.name, "id": info.id, "config": dict(info.config)}
    if found is not None:
        details["format"] = found.format
        if found.schema is not None:
            details["schema"] = {field.name: str(field.type) for field in found.schema}
    return details
