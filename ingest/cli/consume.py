"""``ingest consume``: records out."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ingest.cli.columns import json_lines
from ingest.cli.hub_folder import data_option, known_partitions, known_topic, open_hub
from ingest.cli.output import json_option, print_line
from ingest.cli.reading import Decoder, record_facts, text_or_base64
from ingest.cli.talk import Talk
from ingest.connectors import TopicPartition
from ingest.errors import UsageError

if TYPE_CHECKING:
    from ingest.connectors import Records
    from ingest.hub.contract import Hub

POLL_MS = 200


@click.command()
@click.argument("topic")
@click.option("--partition", type=click.IntRange(0), help="Only this partition.")
@click.option(
    "--from",
    "start",
    default="beginning",
    show_default=True,
    metavar="beginning|end|OFFSET|TIME",
    help="Where to start; a time is ISO, such as 2026-01-31T12:00:00Z.",
)
@click.option("--max", "limit", type=click.IntRange(1), help="Stop after this many records.")
@click.option("--follow", is_flag=True, help="Wait for more at the end.")
@click.option("--raw", is_flag=True, help="Print the bytes as they are stored, whatever the topic's format.")
@data_option
@json_option
@click.pass_obj
def consume(
    talk: Talk,
    topic: str,
    partition: int | None,
    start: str,
    limit: int | None,
    follow: bool,
    raw: bool,
    data: Path,
    as_json: bool,
) -> None:
    """Print a topic's records: lines as lines, columns as JSON. Works while another process writes."""
    with open_hub(data, writable=False) as hub:
        decoder = Decoder(hub)
        numbers = known_partitions(known_topic(hub, topic), partition)
        places = {TopicPartition(topic, number): _start(hub, topic, number, start) for number in numbers}
        printed = 0
        for records in _read(hub, places, follow):
            shown = records if raw else decoder.decoded(records)
            for line in _json_lines(shown) if as_json else _lines(shown):
                _print(line)
                printed += 1
                if printed == limit:
                    decoder.warn(talk)
                    return
            sys.stdout.flush()
        decoder.warn(talk)


def _read(hub: Hub, places: dict[TopicPartition, int], follow: bool) -> Iterator[Records]:
    """Round robin over the partitions; ends at their ends unless ``follow``."""
    while True:
        moved = False
        for place, offset in places.items():
            fetched = hub.read(place.topic, place.partition, offset, max_bytes=1024 * 1024)
            moved = moved or fetched.end > offset
            places[place] = fetched.end
            if fetched.records is not None:
                yield fetched.records
        if not moved:
            if not follow:
                return
            hub.wait(places, POLL_MS)


def _start(hub: Hub, topic: str, partition: int, text: str) -> int:
    first, end = hub.start_offset(topic, partition), hub.end_offset(topic, partition)
    if text == "beginning":
        return first
    if text == "end":
        return end
    if re.fullmatch(r"\d{1,19}", text):
        if not first <= int(text) <= end:
            hint = "name one with --partition: each has offsets of its own"
            raise UsageError(f"{topic}-{partition} holds offsets {first} to {end}, not {text}", hint=hint)
        return int(text)
    found = hub.offset_for_time(topic, partition, _milliseconds(text))
    return end if found is None else found


def _milliseconds(text: str) -> int:
    import datetime

    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text} is neither an offset nor a time", hint="write 2026-01-31T12:00:00Z") from error
    return int((time if time.tzinfo else time.replace(tzinfo=datetime.UTC)).timestamp() * 1000)


def _lines(records: Records) -> Iterator[str | bytes]:
    """Values for people and shells: columns as JSON, text and bytes as they are."""
    if _is_struct(records):
        yield from (text for _, text in _values(records))
        return
    for value in records.value.to_pylist():
        yield b"null" if value is None else value.encode() if isinstance(value, str) else value


def _json_lines(records: Records) -> Iterator[str]:
    """Everything the log knows of each record."""
    facts = record_facts(records)
    for index, (name, text) in enumerate(_values(records)):
        headers = [{"key": item["key"], **text_or_base64("value", item["value"])} for item in facts[index]["headers"]]
        known = json.dumps({**facts[index], "headers": headers}, ensure_ascii=False)
        yield f"{known[:-1]}, {json.dumps(name)}: {text}}}"


def _values(records: Records) -> Iterator[tuple[str, str]]:
    """``value`` or ``value_base64``, and its JSON."""
    if not _is_struct(records):
        for value in records.value.to_pylist():
            ((name, shown),) = text_or_base64("value", value).items()
            yield name, json.dumps(shown, ensure_ascii=False)
        return
    present = records.value.is_valid().to_pylist()
    for there, text in zip(present, json_lines(records.columns()), strict=True):
        yield "value", text if there else "null"


def _is_struct(records: Records) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_struct(records.value.type))


def _print(line: str | bytes) -> None:
    if isinstance(line, str):
        print_line(line)
        return
    # records are bytes, whatever the terminal's encoding
    sys.stdout.flush()
    sys.stdout.buffer.write(line + b"\n")
