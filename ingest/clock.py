"""Time, passed in: tests own it."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for records, monotonic time for intervals. Thread-safe."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch, UTC. May jump either way."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds that never go back; only differences mean anything."""
        ...

    def wait(self, event: threading.Event, timeout_ms: int) -> bool:
        """Blocks until ``event`` is set (true) or ``timeout_ms`` of this clock have passed (false)."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def wait(self, event: threading.Event, timeout_ms: int) -> bool:
        return event.wait(timeout_ms / 1000)
