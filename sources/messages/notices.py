"""What users are told about troubles that may come a thousand times a second: the first one at once, then sums."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ingest.clock import Clock

EVERY_MS = 10_000


@dataclass(slots=True)
class _Trouble:
    told_ms: int
    untold: int = 0
    last: str = ""


class Notices:
    """Used by one thread."""

    def __init__(self, clock: Clock, report: Callable[[str], None]) -> None:
        self._clock = clock
        self.report = report
        self._troubles: dict[str, _Trouble] = {}

    def note(self, what: str, detail: str, count: int = 1) -> None:
        """``what`` is a kind of trouble in few words; ``detail`` the case at hand."""
        now_ms = self._clock.monotonic_ms()
        trouble = self._troubles.get(what)
        if trouble is None:
            self._troubles[what] = _Trouble(now_ms)
            self._tell(what, count, detail)
            return
        trouble.untold += count
        trouble.last = detail

    def flush(self, *, force: bool = False) -> None:
        """Tells what has come together; called about once a second."""
        now_ms = self._clock.monotonic_ms()
        for what, trouble in list(self._troubles.items()):
            if not force and now_ms - trouble.told_ms < EVERY_MS:
                continue
            if trouble.untold:
                self._tell(what, trouble.untold, trouble.last)
                self._troubles[what] = _Trouble(now_ms)
            else:
                del self._troubles[what]

    def _tell(self, what: str, count: int, detail: str) -> None:
        self.report(f"{what}: {detail}" if count == 1 else f"{what}: {count} times, last {detail}")
