"""How far a sink's last commit is behind the end of the log, in records and in time."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from ingest.clock import Clock
from ingest.connectors import TopicPartition
from ingest.errors import TopicMissing
from ingest.hub.contract import Hub
from ingest.runtime.progress import Progress

_EVERY_MS = 500
_MOST_SAMPLES = 7_200  # an hour; a sink that is further behind shows an hour


class Lag:
    """Samples the log's ends now and then; the time lag is the age of the first sample not yet reached."""

    def __init__(self, hub: Hub, clock: Clock, progress: Progress) -> None:
        self._hub = hub
        self._clock = clock
        self._progress = progress
        self._samples: deque[tuple[int, int]] = deque(maxlen=_MOST_SAMPLES)  # (when, sum of the ends)
        self._noted_ms: int | None = None

    def is_due(self) -> bool:
        """Whether the numbers are older than half a second."""
        return self._noted_ms is None or self._clock.monotonic_ms() - self._noted_ms >= _EVERY_MS

    def note(self, committed: Mapping[TopicPartition, int]) -> None:
        """Brings the numbers up to date."""
        self._noted_ms = now = self._clock.monotonic_ms()
        ends = {place: self._end(place) for place in committed}
        self._progress.lag_records = sum(max(0, ends[place] - offset) for place, offset in committed.items())
        self._samples.append((now, sum(ends.values())))
        reached = sum(committed.values())
        while self._samples and self._samples[0][1] <= reached:
            self._samples.popleft()
        self._progress.lag_ms = now - self._samples[0][0] if self._samples else 0

    def _end(self, place: TopicPartition) -> int:
        try:
            return self._hub.end_offset(*place)
        except TopicMissing:
            return 0
