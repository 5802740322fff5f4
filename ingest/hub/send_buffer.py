"""How many bytes of a producer may be on their way at a time."""

from __future__ import annotations

import threading

from ingest.clock import Clock

_LOOK_AGAIN_MS = 1_000


class SendBuffer:
    """Counts bytes; a taker waits while the buffer is full. One record larger than it still passes, alone."""

    def __init__(self, clock: Clock, limit_bytes: int) -> None:
        self._clock = clock
        self._limit_bytes = limit_bytes
        self._taken_bytes = 0
        self._lock = threading.Lock()
        self._room = threading.Event()
        self._closed = False

    @property
    def is_full(self) -> bool:
        return self._taken_bytes >= self._limit_bytes

    def take(self, size_bytes: int) -> None:
        """Blocks while the buffer is full (once it is closed, no more)."""
        while True:
            with self._lock:
                if not self.is_full or self._closed:
                    self._taken_bytes += size_bytes
                    return
                self._room.clear()
            self._clock.wait(self._room, _LOOK_AGAIN_MS)

    def give(self, size_bytes: int) -> None:
        """The bytes have arrived, or never will."""
        with self._lock:
            self._taken_bytes -= size_bytes
            self._room.set()

    def close(self) -> None:
        """Lets go of who waits."""
        with self._lock:
            self._closed = True
            self._room.set()
