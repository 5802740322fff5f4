"""How far a round is: by split, as rows, bytes, rate, and time left where the number of rows is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ingest.clock import Clock
from ingest.sources.databases.parts import Part

_TELL_EVERY_MS = 10_000


@dataclass(slots=True)
class _Split:
    began_ms: int
    rows: int = 0
    size_bytes: int = 0


class Tally:
    """``expected`` is about how many rows a table has, by stream; nothing for tables of which nobody knows."""

    def __init__(self, clock: Clock, report: Callable[[str], None], expected: Mapping[str, int]) -> None:
        self._clock = clock
        self._report = report
        self._left = dict(expected)
        self._began_ms = self._told_ms = clock.monotonic_ms()
        self._rows = 0
        self._splits: dict[tuple[str, int], _Split] = {}
        self._moved: set[tuple[str, int]] = set()

    def add(self, part: Part) -> None:
        """A part was read; tells of all splits of the last seconds now and then."""
        now, stream = self._clock.monotonic_ms(), part.table.stream
        split = self._splits.setdefault((stream, part.split), _Split(now))
        self._moved.add((stream, part.split))
        rows = len(part.rows) + len(part.dead)
        split.rows += rows
        split.size_bytes += part.rows.nbytes
        self._rows += rows
        if stream in self._left:
            self._left[stream] = max(0, self._left[stream] - rows)
        if now - self._told_ms >= _TELL_EVERY_MS:
            self._told_ms = now
            self._tell(now)

    def left(self) -> dict[str, int] | None:
        """Rows and milliseconds that are left, about."""
        if not self._left:
            return None
        rows = sum(self._left.values())
        elapsed_ms = self._clock.monotonic_ms() - self._began_ms
        return {"rows": rows} | ({"ms": rows * elapsed_ms // self._rows} if self._rows else {})

    def _tell(self, now: int) -> None:
        for stream, number in sorted(self._moved):
            split = self._splits[stream, number]
            seconds = max(1, now - split.began_ms) / 1000
            name = f"{stream}, split {number}" if number else stream
            self._report(
                f"{name}: {split.rows:,} rows, {split.size_bytes / 1e6:,.1f} MB, {split.rows / seconds:,.0f} rows/s"
            )
        self._moved.clear()
        left = self.left()
        if left is not None and "ms" in left:
            self._report(f"about {left['rows']:,} rows and {left['ms'] / 1000:,.0f} s are left")
