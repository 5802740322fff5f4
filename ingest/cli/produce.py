"""``ingest produce``: lines in."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ingest.cli.hub_folder import data_option, open_hub, wait_option
from ingest.cli.talk import Talk
from ingest.errors import TopicMissing, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_BYTES = 1024 * 1024


@click.command()
@click.argument("topic")
@click.option("--partition", type=click.IntRange(0), default=0, show_default=True)
@click.option("--key-separator", help="Text that divides a line into key and value, such as a tab or a colon.")
@data_option
@wait_option
@click.pass_obj
def produce(talk: Talk, topic: str, partition: int, key_separator: str | None, data: Path, wait_s: float) -> None:
    """Append lines from stdin to a topic, one record a line; make the topic if it is not there.

    The command ends when all of them are on disk. Lines that look typed go as they are: the topic's format is
    the reader's business.
    """
    from ingest.connectors import Records

    if key_separator == "":
        raise UsageError("the key separator is empty", hint="name the text between key and value, such as :")
    count = 0
    with open_hub(data, writable=True, wait_s=wait_s, create=True) as hub:
        try:
            hub.topic(topic)
        except TopicMissing:
            hub.create_topic(topic)
            talk.say(f"created {topic}", topic=topic)
        pending = None
        for lines in _chunks():
            keys, values = _divided(lines, key_separator)
            if pending is not None:
                pending.result()
            pending = hub.append(Records(topic=topic, value=values, key=keys), partition)
            count += len(values)
        if pending is not None:
            pending.result()
    talk.say(f"{count} records appended to {topic}", topic=topic, records=count)


def _chunks() -> Iterator[list[bytes]]:
    """Lists of lines without their ends, as they come: a live pipe's lines are not held back."""
    rest = b""
    while chunk := os.read(sys.stdin.fileno(), CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        if lines:
            yield [line.removesuffix(b"\r") for line in lines]
    if rest:
        yield [rest.removesuffix(b"\r")]


def _divided(lines: list[bytes], separator: str | None) -> tuple[pa.Array | None, pa.Array]:
    """Keys and values of lines."""
    import pyarrow as pa

    if separator is None:
        return None, pa.array(lines, pa.binary())
    mark = separator.encode()
    pairs = [line.split(mark, 1) if mark in line else [None, line] for line in lines]
    return pa.array([key for key, _ in pairs], pa.binary()), pa.array([value for _, value in pairs], pa.binary())
