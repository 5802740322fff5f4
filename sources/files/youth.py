"""Which objects are too young to be read: they may be half written."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.clock import Clock
from ingest.sources.files.place import Found


class Youth:
    """An object is old enough if its own time says so, or if it was seen unchanged for so long (its store may have
    no times, or a clock of its own). False if none is young."""

    def __init__(self, min_age_ms: int, clock: Clock) -> None:
        self._min_age_ms = min_age_ms
        self._clock = clock
        self._seen: dict[str, tuple[str, int]] = {}

    def __bool__(self) -> bool:
        return bool(self._seen)

    def is_young(self, found: Found) -> bool:
        if self._min_age_ms == 0 or (
            found.modified_ms and self._clock.now_ms() - found.modified_ms >= self._min_age_ms
        ):
            return False
        now = self._clock.monotonic_ms()
        version, since = self._seen.get(found.name, ("", now))
        if version != found.version:
            self._seen[found.name] = (found.version, now)
            return True
        return now - since < self._min_age_ms

    def keep(self, young: Sequence[Found]) -> None:
        """After a listing: those that are still young; the others are let go."""
        self._seen = {found.name: self._seen[found.name] for found in young}
