"""The thread that keeps a store in order: checkpoints, retention, compaction, and what a disk has refused.

Nothing it does is needed for what was acknowledged: a chore that fails is reported and tried again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from ingest.environment import Environment
from ingest.errors import IngestError

PUBLISH_MS = 100
TICK_MS = 1_000


@dataclass(slots=True)
class Chore:
    """``run`` is called every ``every_ms``."""

    name: str
    every_ms: int
    run: Callable[[], None]
    due_ms: int = 0
    failed: str = ""


class Housekeeping:
    """Owned by a store; runs ``publish`` soon after each ``changed``, and the chores when they are due."""

    def __init__(
        self,
        env: Environment,
        publish: Callable[[], None],
        chores: list[Chore],
        report: Callable[[str], None],
        fault: Callable[[BaseException], None],
    ) -> None:
        """``fault`` is told of what no chore may raise: a mistake in the program, which must not stay hidden."""
        self._env = env
        self._fault = fault
        self._chores = [Chore("publishing the high watermarks", 0, publish), *chores]
        self._report = report
        self._changed = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ingest-housekeeping", daemon=True)

    def start(self) -> None:
        now_ms = self._env.clock.monotonic_ms()
        for chore in self._chores:
            chore.due_ms = now_ms + chore.every_ms
        self._thread.start()

    def changed(self) -> None:
        """There is something to publish; called after each sync."""
        if not self._changed.is_set():
            self._changed.set()

    def stop(self) -> None:
        """Ends the thread after the chore that it is at. Idempotent."""
        self._stop.set()
        self._changed.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._keep_house()
        except BaseException as fault:
            self._fault(fault)

    def _keep_house(self) -> None:
        publish, *chores = self._chores
        while not self._stop.is_set():
            if self._env.clock.wait(self._changed, TICK_MS) and not self._env.clock.wait(self._stop, PUBLISH_MS):
                self._changed.clear()
                self._do(publish)
            for chore in chores:
                if self._env.clock.monotonic_ms() >= chore.due_ms and not self._stop.is_set():
                    self._do(chore)

    def _do(self, chore: Chore) -> None:
        try:
            chore.run()
            chore.failed = ""
        except IngestError as error:
            if chore.failed != str(error):  # once, not every second for as long as a disk is full
                self._report(f"{chore.name} failed: {error}")
            chore.failed = str(error)
        chore.due_ms = self._env.clock.monotonic_ms() + chore.every_ms
