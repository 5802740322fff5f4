"""When to look at the folders again."""

from __future__ import annotations

import threading

from ingest.connectors import SourceContext

LOOK_EVERY_MS = 100
_WOKEN_AFTER_MS = 5
# Looking may take at most a twentieth of the time, a tenth where events ask for it.
_LOOK_COST = 20
_WOKEN_COST = 10


class Schedule:
    """Every 100 ms, sooner after an event, less often where the folders are so large that looking costs."""

    def __init__(self, context: SourceContext) -> None:
        self.wake = threading.Event()
        self._context = context
        self._clock = context.environment.clock
        self._last_ms: int | None = None
        self._begun_ms = 0
        self._cost_ms = 0

    @property
    def is_due(self) -> bool:
        return self._left_ms() <= 0

    def hurry(self) -> None:
        """Something was found out that asks for a look at once."""
        self._last_ms = None

    def begin(self) -> int:
        """A look begins; the monotonic time."""
        self.wake.clear()
        self._begun_ms = self._clock.monotonic_ms()
        return self._begun_ms

    def end(self) -> None:
        """The look is over."""
        self._last_ms = self._clock.monotonic_ms()
        self._cost_ms = self._last_ms - self._begun_ms

    def wait(self) -> None:
        """Until the next look is due; briefly, so that a stop is seen soon."""
        left_ms = min(LOOK_EVERY_MS, self._left_ms())
        if left_ms > 0 and self.wake.is_set():
            self._context.wait(left_ms)
        elif left_ms > 0:
            self._clock.wait(self.wake, left_ms)

    def _left_ms(self) -> int:
        if self._last_ms is None:
            return 0
        gap_ms = max(LOOK_EVERY_MS, _LOOK_COST * self._cost_ms)
        if self.wake.is_set():
            gap_ms = max(_WOKEN_AFTER_MS, _WOKEN_COST * self._cost_ms)
        return self._last_ms + gap_ms - self._clock.monotonic_ms()
