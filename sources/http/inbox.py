"""Between the server's thread, which accepts, and the task's, which hands over: bounded in bytes."""

from __future__ import annotations

import threading
from collections import deque

from ingest.clock import Clock
from ingest.sources.http.request import Accepted


class Inbox:
    """One thread puts, one takes. What was taken counts as waiting until it is ``released``."""

    def __init__(self, clock: Clock, most_bytes: int) -> None:
        self._clock = clock
        self._most_bytes = most_bytes
        self._items: deque[Accepted] = deque()
        self._filled = threading.Event()
        self.waiting_bytes = 0

    def has_room(self, size: int) -> bool:
        """Something fits always when nothing else waits. Called by the thread that puts and releases."""
        return not self.waiting_bytes or self.waiting_bytes + size <= self._most_bytes

    def put(self, accepted: Accepted) -> None:
        self.waiting_bytes += accepted.events.size
        self._items.append(accepted)

    def announce(self) -> None:
        """Wakes the thread that takes. Apart from ``put``, so that what comes in together is taken together."""
        self._filled.set()

    def released(self, size: int) -> None:
        """Called by the thread that puts, once the hub has it, or never will."""
        self.waiting_bytes -= size

    def wait(self, timeout_ms: int) -> None:
        """Until something is there, or the time has passed."""
        if not self._items:
            self._clock.wait(self._filled, timeout_ms)

    def take(self, most_bytes: int) -> list[Accepted]:
        """What is there, in order: at least one request if any waits, more up to ``most_bytes``."""
        self._filled.clear()
        taken: list[Accepted] = []
        size = 0
        while self._items and (not taken or size + self._items[0].events.size <= most_bytes):
            taken.append(self._items.popleft())
            size += taken[-1].events.size
        if self._items:
            self._filled.set()
        return taken
