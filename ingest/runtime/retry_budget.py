"""How long to pause after a failure, and when to give up."""

from __future__ import annotations

import random
from collections import deque

from ingest.clock import Clock
from ingest.runtime.plan import Retry


class RetryBudget:
    """Counts the failures of one task within a sliding window; pauses double, with jitter."""

    def __init__(self, retry: Retry, clock: Clock, dice: random.Random) -> None:
        self._retry = retry
        self._clock = clock
        self._dice = dice
        self._failures: deque[int] = deque()
        self._in_a_row = 0

    def failed(self) -> int | None:
        """Milliseconds to pause before the next attempt, or None: the budget is used up."""
        now = self._clock.monotonic_ms()
        self._failures.append(now)
        while self._failures[0] < now - self._retry.window_ms:
            self._failures.popleft()
        if len(self._failures) > self._retry.budget:
            return None
        return self.pause()

    def pause(self) -> int:
        """Milliseconds to pause after a failure that does not count: it is waited out."""
        pause = min(self._retry.backoff_ms << min(self._in_a_row, 32), self._retry.max_backoff_ms)
        self._in_a_row += 1
        # between half and all of it, so that tasks that failed together do not come back together
        return pause // 2 + self._dice.randint(0, pause - pause // 2)

    def succeeded(self) -> None:
        """Something was committed: the next pause is short again. Earlier failures still count."""
        self._in_a_row = 0
