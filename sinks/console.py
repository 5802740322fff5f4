"""The sink ``console``: rows as JSON lines on standard output.

It remembers nothing: after a crash rows may be printed again. A reader that takes its time slows the sink down
(and shows as lag); one that goes away stops it.
"""

from __future__ import annotations

import os
import select
import sys
from typing import ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field

from ingest.config import Settings
from ingest.connectors import (
    Commit,
    DeadLetter,
    Delivery,
    Records,
    SinkConnector,
    SinkContext,
    SinkTask,
    TopicPartition,
)
from ingest.errors import ConnectorError, SystemUnavailable
from ingest.sinks.json_rows import dead_letters, json_rows

_LOOK_MS = 200
_PIPE_BYTES = 4096
"""A pipe that can be written to takes that much without blocking (PIPE_BUF on Linux)."""


class ConsoleSettings(Settings):
    """What is printed of a row."""

    origin: bool = Field(
        default=False, description="Also print `_topic`, `_partition`, `_offset` and `_timestamp` of each row."
    )


class ConsoleSink(SinkConnector):
    """Prints each row as one JSON object on a line of standard output; for looking at a pipeline, and for pipes.

    At least once: standard output cannot say where it stands.
    """

    Settings: ClassVar[type[Settings]] = ConsoleSettings
    reads_headers: ClassVar[bool] = False

    def __init__(self, settings: ConsoleSettings) -> None:
        self.settings = settings

    def task(self) -> SinkTask:
        return ConsoleTask(self.settings)


class ConsoleTask(SinkTask):
    """Prints in ``put``; ``flush`` counts what was printed as a commit."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._settings = settings

    def open(self, context: SinkContext) -> None:
        self._context = context
        self._number = 0
        self._offsets: dict[TopicPartition, int] = {}
        self._dead: list[DeadLetter] = []
        self._rows = 0
        self._pending = False

    def put(self, delivery: Delivery) -> None:
        for records in delivery.records:
            if len(records):
                self._print(records)
        self._dead += delivery.dead
        self._offsets[TopicPartition(delivery.topic, delivery.partition)] = delivery.end
        self._pending = True

    def flush(self, force: bool = False) -> Commit | None:
        if not self._pending:
            return None
        self._number += 1
        commit = Commit(self._number, dict(self._offsets), tuple(self._dead), rows=self._rows)
        self._dead, self._rows, self._pending = [], 0, False
        return commit

    def close(self) -> None:
        return

    def _print(self, records: Records) -> None:
        written, refused = json_rows(records, origin=self._settings.origin)
        for rejected in refused:
            self._dead += dead_letters(records, rejected, sink=self._context.name, tolerate=self._context.tolerate)
        lines = written.value
        if len(lines):
            self._write(_joined(lines))
            self._rows += len(lines)

    def _write(self, text: memoryview) -> None:
        try:
            descriptor = sys.stdout.fileno()
        except (AttributeError, OSError, ValueError):
            # some program's stand-in for standard output: it takes text, at its own pace
            sys.stdout.write(str(text, "utf-8"))
            return
        sys.stdout.flush()
        try:
            while text:
                self._wait(descriptor)
                text = text[os.write(descriptor, text[:_PIPE_BYTES]) :]
        except BrokenPipeError as error:
            raise ConnectorError(
                "nobody reads standard output any more",
                hint="the program that read it has ended; what it did not take is printed in the next run",
                sink=self._context.name,
            ) from error

    def _wait(self, descriptor: int) -> None:
        """Until the reader makes room. A stop does not wait for one that reads no more."""
        room = select.poll()  # not select(), which refuses the descriptors of a process with many files
        room.register(descriptor, select.POLLOUT)
        while not room.poll(_LOOK_MS):
            if self._context.stopping.is_set():
                raise SystemUnavailable("standard output takes nothing, and the pipeline is to stop")


def _joined(lines: pa.Array) -> memoryview:
    """All lines, each with its end, in one piece of memory; no step per line."""
    whole = lines.cast(pa.large_binary())
    ended = pa.compute.binary_join_element_wise(
        whole, pa.scalar(b"", pa.large_binary()), pa.scalar(b"\n", pa.large_binary())
    )
    offsets = np.frombuffer(ended.buffers()[1], np.int64)
    return memoryview(ended.buffers()[2])[offsets[ended.offset] : offsets[ended.offset + len(ended)]]
