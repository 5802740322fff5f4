"""What a task has done so far, as numbers that ``status`` shows.

Written by the task's thread, read by any; each number is right by itself, two of them may be a batch apart.

A record counts once, when its commit is on disk, whatever was tried again before:

records       taken: by a source from outside, refused ones included; by a sink from the hub
written       of these, those that arrived: in the hub's topics, in the sink's target
filtered      those that transforms left out, less those that transforms added
dead_letters  those that were refused, by whatever step
pending       handed to the sink and not committed: in none of the others yet

    records = written + filtered + dead_letters

All count rows. Of a record that holds many (format ``arrow``) each row counts; one that nobody can decode is
one dead letter. They begin at 0 with the process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ingest.clock import Clock

RATE_WINDOW_MS = 10_000
_SLOT_MS = 250


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of the records of a commit: see the module."""

    records: int
    written: int
    filtered: int = 0
    dead_letters: int = 0
    size_bytes: int = 0


class Progress:
    """Counters of one task since the worker started, and its rates over the last ten seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started_ms = clock.monotonic_ms()
        self._recent: deque[tuple[int, int, int]] = deque()  # (slot, records, size_bytes), newest last
        self.records = 0
        self.written = 0
        self.filtered = 0
        self.dead_letters = 0
        self.pending = 0
        self.size_bytes = 0
        self.batches = 0
        self.commits = 0
        self.last_commit_ms: int | None = None
        self.retries = 0
        self.last_error: str | None = None
        self.lag_records: int | None = None
        self.lag_ms: int | None = None
        self.source_lag: Mapping[str, int] | None = None
        """What the source says is left to read, by unit."""

    def moved(self, records: int, size_bytes: int) -> None:
        """A batch went through: for the rates, which show what is done, again or not."""
        self.batches += 1
        now = self._clock.monotonic_ms()
        slot = now // _SLOT_MS
        if self._recent and self._recent[-1][0] == slot:
            _, before, bytes_before = self._recent.pop()
            records, size_bytes = records + before, size_bytes + bytes_before
        self._recent.append((slot, records, size_bytes))
        while self._recent and self._recent[0][0] <= (now - RATE_WINDOW_MS) // _SLOT_MS:
            self._recent.popleft()

    def committed(self, settled: Settled) -> None:
        """A commit is on disk."""
        self.records += settled.records
        self.written += settled.written
        self.filtered += settled.filtered
        self.dead_letters += settled.dead_letters
        self.size_bytes += settled.size_bytes
        self.commits += 1
        self.last_commit_ms = self._clock.now_ms()

    def rates(self) -> tuple[float, float]:
        """Records and bytes per second over the window, or since the start if that is shorter."""
        now = self._clock.monotonic_ms()
        oldest = (now - RATE_WINDOW_MS) // _SLOT_MS
        recent = [entry for entry in tuple(self._recent) if entry[0] > oldest]
        span_s = max(min(now - self._started_ms, RATE_WINDOW_MS), 1) / 1000
        return sum(entry[1] for entry in recent) / span_s, sum(entry[2] for entry in recent) / span_s

    def lag(self) -> dict[str, int] | None:
        """How far behind it is, in its own units: a source's as it says, a sink's ``records`` and ``ms``."""
        if self.source_lag is not None:
            return dict(self.source_lag)
        if self.lag_records is None or self.lag_ms is None:
            return None
        return {"records": self.lag_records, "ms": self.lag_ms}

    def as_status(self) -> dict[str, Any]:
        """JSON values, for ``status``."""
        records_rate, bytes_rate = self.rates()
        return {
            "records": self.records,
            "written": self.written,
            "filtered": self.filtered,
            "dead_letters": self.dead_letters,
            "pending": self.pending,
            "bytes": self.size_bytes,
            "records_per_second": round(records_rate, 1),
            "bytes_per_second": round(bytes_rate, 1),
            "batches": self.batches,
            "commits": self.commits,
            "last_commit_ms": self.last_commit_ms,
            "lag": self.lag(),
            "lag_records": self.lag_records,
            "lag_ms": self.lag_ms,
            "retries": self.retries,
            "last_error": self.last_error,
        }
