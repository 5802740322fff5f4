"""Messages that end with a byte: a line feed, or NUL (RFC 6587, 3.4.2)."""

from __future__ import annotations

from ingest.sources.messages.cut import CUT_OFF, Cut, LongMessages, Refused


class Lines:
    """No Python step for each line. The line end, with a carriage return before a line feed, is no part of the
    message; blank lines are messages only if ``blank`` is set."""

    def __init__(self, most: int, *, split: bool, blank: bool = True, end: bytes = b"\n") -> None:
        self._long = LongMessages(most, split=split)
        self._blank = blank
        self._end = end
        self._rest = b""

    @property
    def pending(self) -> bool:
        """Whether a message has begun that is not whole yet."""
        return bool(self._rest) or self._long.inside

    def feed(self, data: bytes) -> Cut:
        cut = Cut()
        whole = self._rest + data
        lines = whole.split(self._end)
        rest = lines.pop()
        if self._end == b"\n" and b"\r\n" in whole:
            lines = [line.removesuffix(b"\r") for line in lines]
        if self._long.inside and lines:
            self._long.end(lines.pop(0), cut)
        self._take(lines, cut)
        self._rest = self._long.begin(rest, cut)
        return cut

    def end(self, *, clean: bool) -> Cut:
        cut = Cut()
        rest, self._rest = self._rest, b""
        if self._long.inside:
            self._long.end(rest, cut)
        elif rest and clean:
            self._take([rest.removesuffix(b"\r")], cut)
        elif rest:
            cut.refused.append(Refused(rest, "the connection broke inside of this message", CUT_OFF))
        return cut

    def _take(self, lines: list[bytes], cut: Cut) -> None:
        if not self._blank:
            lines = list(filter(None, lines))
        if not lines:
            return
        if len(max(lines, key=len)) <= self._long.most:
            cut.messages += lines
            return
        for line in lines:
            self._long.end(line, cut)
