"""Drives a file source by hand: a clock that moves only while the source waits, and a hub of two lists."""

from __future__ import annotations

import json
import random
import threading
import time
from pathlib import Path
from typing import Any

from ingest.connectors import DeadRecords, EndOfInput, Polled, Position, Records, SourceContext, SourceTask
from ingest.environment import Environment
from ingest.sources.file.connector import FileSettings, FileSource

_MOST_POLLS = 20_000


class ManualClock:
    """Waiting takes no time: it moves the clock."""

    def __init__(self) -> None:
        self._elapsed_ms = 0
        self._begin_ms = time.time_ns() // 1_000_000

    def now_ms(self) -> int:
        return self._begin_ms + self._elapsed_ms

    def monotonic_ms(self) -> int:
        return self._elapsed_ms

    def wait(self, event: threading.Event, timeout_ms: int) -> bool:
        if event.is_set():
            return True
        self.advance(max(timeout_ms, 1))
        return False

    def advance(self, by_ms: int) -> None:
        self._elapsed_ms += by_ms


class Tail:
    """A file source on ``folder``. Whatever a poll brings is committed at once, positions through JSON."""

    def __init__(self, folder: Path, *paths: str, batch_bytes: int = 1 << 20, until: bool = False, **settings: Any):
        self.folder = folder
        self.settings = FileSettings(paths=list(paths) or ["*"], watch=False, **settings)
        self.clock = ManualClock()
        self.environment = Environment(clock=self.clock, random=random.Random(7))
        self.batch_bytes = batch_bytes
        self.until = until
        self.records: list[Records] = []
        self.dead: list[DeadRecords] = []
        self.positions: dict[str, Position] = {}
        self.reports: list[str] = []
        self.stopping = threading.Event()
        self._task: SourceTask | None = None

    # -- what came out

    @property
    def lines(self) -> list[Any]:
        return [value for records in self.records for value in records.value.to_pylist()]

    @property
    def dead_lines(self) -> list[bytes]:
        return [value for dead in self.dead for value in dead.records.value.to_pylist()]

    @property
    def reasons(self) -> list[str]:
        return [reason for dead in self.dead for reason in dead.reasons]

    def lines_of(self, name: str) -> list[Any]:
        wanted = str(self.folder / name)
        return [line for records in self.records if records.origin.name == wanted for line in records.value.to_pylist()]

    # -- running it

    def poll(self, *, tell: bool = True) -> Polled | None:
        """One poll, committed."""
        polled = self.poll_uncommitted()
        if polled is not None:
            self.commit(polled)
            if tell:
                self.task.committed(polled.positions)
        return polled

    def poll_uncommitted(self) -> Polled | None:
        return self.task.poll()

    def commit(self, polled: Polled) -> None:
        self.records += polled.records
        self.dead += polled.dead
        for stream, position in polled.positions.items():
            if position is None:
                self.positions.pop(stream, None)
            else:
                self.positions[stream] = json.loads(json.dumps(position))

    def settle(self, wait_ms: int = 0) -> list[Any]:
        """Polls until nothing has come for ``wait_ms`` of the source's clock (two looks at least)."""
        until_ms = self.clock.monotonic_ms() + wait_ms + 250
        for _ in range(_MOST_POLLS):
            if self.poll() is not None:
                until_ms = self.clock.monotonic_ms() + wait_ms + 250
            elif self.clock.monotonic_ms() >= until_ms:
                return self.lines
        raise AssertionError("the source never comes to rest")

    def drain(self) -> list[Any]:
        """Runs to ``EndOfInput``, then closes."""
        for _ in range(_MOST_POLLS):
            try:
                self.poll()
            except EndOfInput:
                self.stop()
                return self.lines
        raise AssertionError("never caught up")

    def stop(self) -> None:
        """Ends the task; a new one begins at the committed positions. It makes no difference to a crash."""
        if self._task is not None:
            self._task.close()
        self._task = None

    @property
    def task(self) -> SourceTask:
        if self._task is None:
            self._task = FileSource(self.settings).tasks(1)[0]
            context = SourceContext(
                name="files",
                base_folder=self.folder,
                environment=self.environment,
                until_caught_up=self.until,
                max_batch_bytes=self.batch_bytes,
                stopping=self.stopping,
                report=self.reports.append,
            )
            self._task.open(context, dict(self.positions))
        return self._task


def append(path: Path, *lines: str) -> None:
    """Adds lines with their ends."""
    with path.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def numbered(first: int, beyond: int, *, of: str = "line") -> list[str]:
    """Lines that are all different and long enough to tell contents apart."""
    return [f"{of} {number:06} " + "." * (number * 7 % 23) for number in range(first, beyond)]
