"""A task in a thread of its own: started again after what passes, stopped by what does not.

starting -> running -> done | stopped | failed
    ^          |
    +-- paused, or a pause after a failure that may pass
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any, Literal

from ingest.environment import Environment
from ingest.errors import BudgetExhausted, IngestError, Permanent, Retriable, StorageFull
from ingest.runtime.plan import Retry
from ingest.runtime.progress import Progress
from ingest.runtime.retry_budget import RetryBudget

State = Literal["starting", "running", "paused", "retrying", "failed", "stopped", "done"]
ENDED: frozenset[State] = frozenset({"failed", "stopped", "done"})

FULL_TRIES = 4
"""So often a run that is to end tries to write to a full disk, within about two seconds."""

Run = Callable[[threading.Event], Literal["done", "stopped"]]
"""One attempt, from open to close: returns soon after the event is set, having committed what is pending."""


class SupervisedTask:
    """Owns the thread. ``name`` is unique within the worker: ``source nginx``, ``sink lake``, ``source db 2``.

    ``waits_for_room``: a full disk is waited out; else it ends the task after a few tries.
    """

    def __init__(
        self,
        name: str,
        run: Run,
        retry: Retry,
        progress: Progress,
        environment: Environment,
        changed: threading.Event,
        report: Callable[[str], None],
        *,
        waits_for_room: bool = True,
    ) -> None:
        self.name = name
        self.progress = progress
        self.state: State = "starting"
        self.error: BaseException | None = None
        self._run = run
        self._environment = environment
        self._budget = RetryBudget(retry, environment.clock, environment.random)
        self._changed = changed
        self._report = report
        self._full_tries = math.inf if waits_for_room else FULL_TRIES
        self._full = 0
        """Attempts in a row that met a full disk."""
        self._lock = threading.Lock()
        self._stop = False
        self._paused = False
        self._interrupt = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name=name, daemon=True)

    def start(self) -> None:
        """Once."""
        self._thread.start()

    def request_stop(self) -> None:
        """The task ends cleanly, soon. Idempotent."""
        with self._lock:
            self._stop = True
            self._interrupt.set()
            self._wake.set()

    def pause(self) -> None:
        """The task commits what is pending and closes; its thread waits for ``resume``."""
        with self._lock:
            self._paused = True
            self._interrupt.set()

    def resume(self) -> None:
        """Opens the task again where it stands; cuts a pause after a failure short, too."""
        with self._lock:
            self._paused = False
            self._wake.set()

    def join(self, timeout_ms: int) -> bool:
        """Whether the thread has ended within the time."""
        self._thread.join(timeout_ms / 1000)
        return not self._thread.is_alive()

    def as_status(self) -> dict[str, Any]:
        """JSON values."""
        return {"task": self.name, "state": self.state, **self.progress.as_status()}

    def _supervise(self) -> None:
        try:
            self._enter(self._attempts())
        except BaseException as error:
            # Nobody above this frame would hear of it.
            self.error = error
            self.progress.last_error = str(error) or type(error).__name__
            self._enter("failed")

    def _attempts(self) -> State:
        while True:
            if not self._ready():
                return "stopped"
            self._enter("running")
            commits = self.progress.commits
            try:
                end = self._run(self._interrupt)
            except Exception as error:
                if self.progress.commits > commits:
                    self._budget.succeeded()
                    self._full = 0
                self._retry_later(error)
                continue
            if end == "done":
                return "done"

    def _ready(self) -> bool:
        """Waits while paused; false if the task is to stop. Clears what interrupted the last attempt."""
        while True:
            with self._lock:
                if self._stop:
                    return False
                self._interrupt.clear()
                if not self._paused:
                    return True
                self._wake.clear()
            self._enter("paused")
            self._wake.wait()

    def _retry_later(self, error: Exception) -> None:
        """Pauses after a failure that may pass; raises any other, and the one that is too many."""
        if not isinstance(error, Retriable) or isinstance(error, Permanent):
            raise error
        self.progress.last_error = str(error)
        pause_ms = self._pause_ms(error)
        self.progress.retries += 1
        self._report(f"{self.name}: {error}; tried again in {pause_ms / 1000:.1f} s")
        self._enter("retrying")
        with self._lock:
            if self._stop:
                return
            self._wake.clear()
        self._environment.clock.wait(self._wake, pause_ms)

    def _pause_ms(self, error: Exception) -> int:
        """How long to pause after ``error``; raises if that was one attempt too many."""
        if isinstance(error, StorageFull):
            self._full += 1
            if self._full >= self._full_tries:
                raise error
            return self._budget.pause()
        self._full = 0
        pause_ms = self._budget.failed()
        if pause_ms is None:
            raise BudgetExhausted(
                f"it failed too often, the last time with: {_without_hint(error)}",
                hint="remove the cause and run again; `retry` in the pipeline file sets how often is too often",
                task=self.name,
            ) from error
        return pause_ms

    def _enter(self, state: State) -> None:
        self.state = state
        self._changed.set()


def _without_hint(error: Exception) -> str:
    return error.message if isinstance(error, IngestError) else str(error)
