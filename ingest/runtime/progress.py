"""What a task has done so far, as numbers that ``status`` shows.

Written by the task's thread, read by any; each number is right by itself, two of them may be a batch apart.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from ingest.clock import Clock

RATE_WINDOW_MS = 10_000
_SLOT_MS = 250


class Progress:
    """Counters of one task since the worker started, and its rates over the last ten seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started_ms = clock.monotonic_ms()
        self._recent: deque[tuple[int, int, int]] = deque()  # (slot, records, size_bytes), newest last
        self.records = 0
        self.size_bytes = 0
        self.batches = 0
        self.commits = 0
        self.last_commit_ms: int | None = None
        self.dead_letters = 0
        self.retries = 0
        self.last_error: str | None = None
        self.lag_records: int | None = None
        self.lag_ms: int | None = None

    def moved(self, records: int, size_bytes: int) -> None:
        """A batch went through."""
        self.batches += 1
        self.records += records
        self.size_bytes += size_bytes
        now = self._clock.monotonic_ms()
        slot = now // _SLOT_MS
        if self._recent and self._recent[-1][0] == slot:
            _, before, bytes_before = self._recent.pop()
            records, size_bytes = records + before, size_bytes + bytes_before
        self._recent.append((slot, records, size_bytes))
        while self._recent and self._recent[0][0] <= (now - RATE_WINDOW_MS) // _SLOT_MS:
            self._recent.popleft()

    def committed(self, dead_letters: int = 0) -> None:
        """A commit is on disk."""
        self.commits += 1
        self.dead_letters += dead_letters
        self.last_commit_ms = self._clock.now_ms()

    def rates(self) -> tuple[float, float]:
        """Records and bytes per second over the window, or since the start if that is shorter."""
        now = self._clock.monotonic_ms()
        oldest = (now - RATE_WINDOW_MS) // _SLOT_MS
        recent = [entry for entry in tuple(self._recent) if entry[0] > oldest]
        span_s = max(min(now - self._started_ms, RATE_WINDOW_MS), 1) / 1000
        return sum(entry[1] for entry in recent) / span_s, sum(entry[2] for entry in recent) / span_s

    def as_status(self) -> dict[str, Any]:
        """JSON values, for ``status``."""
        records_rate, bytes_rate = self.rates()
        return {
            "records": self.records,
            "bytes": self.size_bytes,
            "records_per_second": round(records_rate, 1),
            "bytes_per_second": round(bytes_rate, 1),
            "batches": self.batches,
            "commits": self.commits,
            "last_commit_ms": self.last_commit_ms,
            "dead_letters": self.dead_letters,
            "lag_records": self.lag_records,
            "lag_ms": self.lag_ms,
            "retries": self.retries,
            "last_error": self.last_error,
        }
