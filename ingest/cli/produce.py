"""``ingest produce``: lines in."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ingest.cli.exit_codes import named_on_command_line
from ingest.cli.hub_folder import data_option, known_partitions, open_hub, wait_option
from ingest.cli.stopping import stop_signal
from ingest.cli.talk import Talk
from ingest.errors import TooLarge, TopicMissing, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from ingest.hub.contract import Hub

CHUNK_BYTES = 1024 * 1024
MAX_LINE_BYTES = 64 * 1024 * 1024


@click.command()
@click.argument("topic")
@click.option("--partition", type=click.IntRange(0), default=0, show_default=True, help="Where the lines go.")
@click.option("--key-separator", help="Text that divides a line into key and value, such as a tab or a colon.")
@data_option
@wait_option
@click.pass_obj
def produce(talk: Talk, topic: str, partition: int, key_separator: str | None, data: Path, wait_s: float) -> None:
    """Append lines from stdin to a topic, one record a line; make the topic if it is not there.

    The command ends when all of them are on disk; Ctrl-C ends the input, and what came before it is kept.
    Lines go as they are: the topic's format is the reader's business.
    """
    from ingest.connectors import Records

    if key_separator == "":
        raise UsageError("the key separator is empty", hint="name the text between key and value, such as :")
    count = 0
    lines_in = _Lines(sys.stdin.fileno())
    with open_hub(data, writable=True, wait_s=wait_s, create=True) as hub, stop_signal(lines_in.end) as woken:
        _open_topic(talk, hub, topic, partition, data)
        pending = None
        for lines in lines_in.chunks(woken):
            keys, values = _divided(lines, key_separator)
            if pending is not None:
                pending.result()
            pending = hub.append(Records(topic=topic, value=values, key=keys), partition)
            count += len(values)
        if pending is not None:
            pending.result()
    if lines_in.left_out:
        talk.warn(f"the last {lines_in.left_out} bytes are left out: their line had not ended")
    talk.say(f"{count} records appended to {topic}", topic=topic, records=count)


def _open_topic(talk: Talk, hub: Hub, name: str, partition: int, data: Path) -> None:
    with named_on_command_line():
        try:
            topic = hub.topic(name)
        except TopicMissing:
            topic = hub.create_topic(name)
            talk.say(f"created {name} in {data}", topic=name)
    if topic.internal:
        raise UsageError(f"{name} belongs to the hub itself", hint="choose another topic")
    known_partitions(topic, partition)


class _Lines:
    """The lines of a file descriptor; ``end`` may be called by a signal handler."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._ended = False
        self.left_out = 0

    def end(self) -> None:
        """As if the input ended here."""
        self._ended = True

    def chunks(self, woken: int) -> Iterator[list[bytes]]:
        """Lists of lines without their ends, as they come: a live pipe's lines are not held back.

        ``woken`` can be read from when ``end`` is called.
        """
        rest = b""
        while chunk := self._read(woken):
            *lines, rest = (rest + chunk).split(b"\n")
            if lines:
                yield [line.removesuffix(b"\r") for line in lines]
            if len(rest) > MAX_LINE_BYTES:
                raise TooLarge(f"a line has more than {MAX_LINE_BYTES} bytes", hint="the lines before it are kept")
        if rest and self._ended:
            self.left_out = len(rest)
        elif rest:
            yield [rest.removesuffix(b"\r")]

    def _read(self, woken: int) -> bytes:
        ready = select.poll()  # not select(): it takes no descriptor above 1023
        for descriptor in (self._descriptor, woken):
            ready.register(descriptor, select.POLLIN)
        ready.poll()
        return b"" if self._ended else os.read(self._descriptor, CHUNK_BYTES)


def _divided(lines: list[bytes], separator: str | None) -> tuple[pa.Array | None, pa.Array]:
    """Keys and values of lines."""
    import pyarrow as pa

    if separator is None:
        return None, pa.array(lines, pa.binary())
    mark = separator.encode()
    pairs = [line.split(mark, 1) if mark in line else [None, line] for line in lines]
    return pa.array([key for key, _ in pairs], pa.binary()), pa.array([value for _, value in pairs], pa.binary())
