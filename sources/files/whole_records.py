"""Cuts content into runs of whole records: by line ends, those that are inside quotes or behind an escape left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ingest.sources.files.content import Content

_MOST_KEPT = 64 * 1024
"""Of a record that is too long, its first bytes are kept."""


@dataclass(frozen=True, slots=True)
class Run:
    """``data`` is made of whole records; ``starts`` and ``ends`` (without the line end) are where each stands in
    it, ``at`` is where ``data`` begins in the content, and ``line`` the number of its first line, from 1.

    With ``too_long`` set ``data`` is the beginning of one record of so many bytes instead; with ``open_quote`` it is
    the first line of one whose quote is never closed.
    """

    data: bytes
    starts: np.ndarray
    ends: np.ndarray
    at: int
    line: int
    too_long: int = 0
    open_quote: bool = False
    line_end: bytes = b"\n"


class WholeRecords:
    """``at`` and ``line`` are those of the next record."""

    def __init__(
        self,
        content: Content,
        *,
        at: int,
        line: int,
        quote: str | None,
        max_record: int,
        line_end: str = "\n",
        escape: str | None = None,
    ) -> None:
        self._content = content
        self._quote = quote.encode() if quote else None
        self._escape = escape.encode() if escape else None
        self._line_end = line_end.encode()
        self._max_record = max_record
        self._held = b""
        self._at_end = False
        self.at = at
        self.line = line

    def read(self, max_bytes: int) -> Run | None:
        """The next records, at least one; None at the end."""
        want = max_bytes
        while True:
            self._fill(want)
            if not self._held:
                return None
            ends = self._line_ends(self._held)
            if self._at_end and (not len(ends) or ends[-1] != len(self._held) - 1):
                rest = self._held[ends[-1] + 1 if len(ends) else 0 :]
                if not self._is_open(rest):
                    ends = np.append(ends, len(self._held))
                elif not len(ends):
                    return self._open(rest.index(self._line_end))
            first = int(ends[0]) if len(ends) else len(self._held)
            if first > self._max_record:
                return self._over(first if len(ends) else None)
            if len(ends):
                return self._run(ends)
            want = len(self._held) + max_bytes

    def _fill(self, size: int) -> None:
        parts, held = [self._held], len(self._held)
        while held < size and not self._at_end:
            data = self._content.read(size - held)
            self._at_end = not data
            parts.append(data)
            held += len(data)
        self._held = b"".join(parts)

    def _line_ends(self, data: bytes) -> np.ndarray:
        content = np.frombuffer(data, np.uint8)
        ends = unescaped(content, self._line_end, self._escape)
        if self._quote is None or self._quote not in data:
            return ends
        quotes = unescaped(content, self._quote, self._escape)
        outside: np.ndarray = ends[np.searchsorted(quotes, ends) % 2 == 0]
        return outside

    def _run(self, ends: np.ndarray) -> Run:
        too_long = np.flatnonzero(np.diff(ends) - 1 > self._max_record)
        if len(too_long):
            ends = ends[: too_long[0] + 1]
        cut = min(int(ends[-1]) + 1, len(self._held))
        data, self._held = self._held[:cut], self._held[cut:]
        starts = np.concatenate([[0], ends[:-1] + 1])
        content = np.frombuffer(data, np.uint8)
        returns = (ends > starts) & (content[np.maximum(ends - 1, 0)] == ord("\r")) & (self._line_end == b"\n")
        run = Run(data, starts, ends - returns, self.at, self.line, line_end=self._line_end)
        self._advance(data)
        return run

    def _over(self, end: int | None) -> Run:
        """A record that is too long is passed over to its end. Where a quote that is never closed has made it so,
        only its first line is."""
        line_end = self._held.find(self._line_end)
        if line_end >= 0 and self._quote is not None:
            end = line_end
        kept, at, line, size = self._held[: min(_MOST_KEPT, self._max_record)], self.at, self.line, 0
        while end is None:
            size += len(self._held)
            open_escape = self._ends_in_escape(self._held)
            self._advance(self._held)
            self._held = b""
            self._fill(self._max_record)
            found = self._first_line_end(open_escape)
            end = found if found >= 0 else len(self._held) if self._at_end else None
        size += end
        self._advance(self._held[: end + 1])
        self._held = self._held[end + 1 :]
        return Run(kept[:size], np.array([0]), np.array([min(len(kept), size)]), at, line, too_long=size)

    def _ends_in_escape(self, data: bytes) -> bytes:
        """The escape that what follows ``data`` is behind, if it is behind one."""
        if self._escape is None:
            return b""
        return self._escape if (len(data) - len(data.rstrip(self._escape))) % 2 else b""

    def _first_line_end(self, before: bytes) -> int:
        """In what is held, which follows ``before``; quotes are not looked at. -1 if there is none."""
        ends = unescaped(np.frombuffer(before + self._held, np.uint8), self._line_end, self._escape)
        return int(ends[0]) - len(before) if len(ends) else -1

    def _is_open(self, rest: bytes) -> bool:
        """Whether what is left of the content has a quote that would take more lines than its own with it."""
        if self._quote is None or self._line_end not in rest:
            return False
        return bool(len(unescaped(np.frombuffer(rest, np.uint8), self._quote, self._escape)) % 2)

    def _open(self, end: int) -> Run:
        data, self._held = self._held[: end + 1], self._held[end + 1 :]
        stop = end - (data[end - 1 : end] == b"\r")
        places = np.array([0]), np.array([stop])
        run = Run(data, *places, self.at, self.line, open_quote=True, line_end=self._line_end)
        self._advance(data)
        return run

    def _advance(self, data: bytes) -> None:
        self.at += len(data)
        self.line += data.count(self._line_end)


def line_of(run: Run, record: int) -> int:
    """The number of the line in which a record begins."""
    return run.line + run.data.count(run.line_end, 0, int(run.starts[record]))


def escapes(content: np.ndarray, escape: bytes, starts: np.ndarray | None = None) -> np.ndarray:
    """Where the byte ``escape`` is an escape, and not behind one. None is behind the end of what stands before
    ``content``, or before one of ``starts`` in it."""
    places = np.flatnonzero(content == escape[0])
    alone = np.diff(places, prepend=-2) != 1
    if starts is not None:
        alone |= np.isin(places, starts)
    begins = np.flatnonzero(alone)
    within = np.arange(len(places)) - np.repeat(begins, np.diff(begins, append=len(places)))
    first: np.ndarray = places[within % 2 == 0]
    return first


def unescaped(content: np.ndarray, mark: bytes, escape: bytes | None) -> np.ndarray:
    """Where the byte ``mark`` stands, and no escape before it."""
    places = np.flatnonzero(content == mark[0])
    if escape is None or not len(places):
        return places
    free: np.ndarray = places[~np.isin(places, escapes(content, escape) + 1)]
    return free
