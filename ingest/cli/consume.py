"""``ingest consume``: records out."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ingest.cli.hub_folder import data_option, open_hub
from ingest.cli.output import json_option, print_json
from ingest.cli.reading import decoded, text_or_base64, timestamp_text
from ingest.connectors import TopicPartition
from ingest.errors import OffsetOutOfRange, UsageError

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
def consume(
    topic: str, partition: int | None, start: str, limit: int | None, follow: bool, raw: bool, data: Path, as_json: bool
) -> None:
    """Print a topic's records: lines as lines, columns as JSON. Works while another process writes."""
    with open_hub(data, writable=False) as hub:
        count = hub.topic(topic).partitions
        numbers = range(count) if partition is None else [partition]
        if partition is not None and partition >= count:
            raise UsageError(f"{topic} has no partition {partition}", hint=f"it has {count}")
        places = {TopicPartition(topic, number): _start(hub, topic, number, start) for number in numbers}
        printed = 0
        for records in _read(hub, places, follow):
            for row in _rows(records if raw else decoded(hub, records), raw=raw and not as_json):
                _print(row, as_json)
                printed += 1
                if printed == limit:
                    return
            sys.stdout.flush()


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
            raise OffsetOutOfRange(f"{topic}-{partition} holds {first} to {end}, not {text}", start=first, end=end)
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


def _rows(records: Records, *, raw: bool) -> Iterator[dict[str, Any]]:
    length = len(records)
    keys = records.key.to_pylist() if records.key is not None else [None] * length
    times = records.timestamp.to_pylist() if records.timestamp is not None else [None] * length
    headers = records.headers.to_pylist() if records.headers is not None else [None] * length
    offsets = records.offsets.to_pylist() if records.offsets is not None else [None] * length
    for index, value in enumerate(records.value.to_pylist()):
        yield {
            "topic": records.topic,
            "partition": records.partition,
            "offset": offsets[index],
            "timestamp": timestamp_text(times[index]),
            **text_or_base64("key", keys[index]),
            "headers": [
                {"key": item["key"], **text_or_base64("value", item["value"])} for item in headers[index] or []
            ],
            **({"value": value} if raw else text_or_base64("value", value)),
        }


def _print(row: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(row)
    elif isinstance(row.get("value"), dict):
        print_json(row["value"])
    elif isinstance(row.get("value"), bytes):
        sys.stdout.buffer.write(row["value"] + b"\n")
    elif "value_base64" in row:
        sys.stdout.write(f"base64:{row['value_base64']}\n")
    else:
        sys.stdout.write(f"{row['value']}\n")
