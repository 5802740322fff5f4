"""When the next round is due."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from ingest.connectors import SourceContext
from ingest.sources.sql.cron import parse_cron
from ingest.sources.sql.settings import SqlSettings

_LONGEST_WAIT_MS = 500


class Schedule:
    """Counts by the wall clock from the beginning of a round: a time that passes while one runs is not made up for."""

    def __init__(self, settings: SqlSettings, context: SourceContext, last_ms: int | None) -> None:
        self._context = context
        self._every = settings.every
        self._cron = parse_cron(settings.cron) if settings.cron else None
        self._zone = ZoneInfo(settings.timezone)
        self._due_ms: int | None = self._now_ms()
        if last_ms is not None and not context.until_caught_up:
            self._due_ms = self._after(last_ms) or self._now_ms()

    @property
    def is_due(self) -> bool:
        """Whether a round should begin."""
        return self._due_ms is not None and self._now_ms() >= self._due_ms

    @property
    def is_over(self) -> bool:
        """Whether there will be no other round."""
        return self._due_ms is None

    def begun(self) -> None:
        """A round begins now."""
        self._due_ms = None if self._context.until_caught_up else self._after(self._now_ms())

    def wait(self) -> None:
        """A while, or until the task should stop."""
        left = _LONGEST_WAIT_MS if self._due_ms is None else self._due_ms - self._now_ms()
        self._context.wait(max(1, min(_LONGEST_WAIT_MS, left)))

    def _after(self, moment_ms: int) -> int | None:
        if self._every is not None:
            return moment_ms + self._every
        if self._cron is not None:
            found = self._cron.after(datetime.fromtimestamp(moment_ms / 1000, UTC), self._zone)
            return int(found.timestamp() * 1000)
        return None

    def _now_ms(self) -> int:
        return self._context.environment.clock.now_ms()
