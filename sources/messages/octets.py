"""Octet counting, ``LENGTH SP MESSAGE`` (RFC 6587, 3.4.1), alone or told apart from lines message by message."""

from __future__ import annotations

import re

from ingest.sources.messages.cut import CUT_OFF, Cut, FramingLost, LongMessages, Refused
from ingest.sources.messages.lines import Lines

_COUNT = re.compile(rb"([1-9]\d{0,9}) ")
_MAYBE_COUNT = re.compile(rb"[1-9]\d{0,9} ?\Z")
_LINE_BEFORE_COUNT = re.compile(rb"\n(?=[1-9]\d{0,9} <)")
_LINE_ENDS = b"\r\n"


class Octets:
    """Takes one Python step for each message: where the next one begins stands in the one before."""

    def __init__(self, most: int, *, split: bool) -> None:
        self._long = LongMessages(most, split=split)
        self._most = most
        self._rest = b""
        self._left = 0
        """Bytes of a long message that are still to come."""

    @property
    def pending(self) -> bool:
        """Whether a message has begun that is not whole yet."""
        return bool(self._rest) or self._left > 0

    def feed(self, data: bytes) -> Cut:
        cut = Cut()
        buffer = self._rest + data
        at: int | None = 0
        while at is not None and at < len(buffer):
            begun = at
            at = self._step(buffer, at, cut)
        self._rest = b"" if at is not None else buffer[begun:]
        return cut

    def end(self, *, clean: bool) -> Cut:
        cut = Cut()
        rest, self._rest = self._rest, b""
        if self._left:
            self._left = 0
            self._long.end(rest, cut)
        elif rest:
            cut.refused.append(Refused(rest, "the connection ended inside of this message", CUT_OFF))
        return cut

    def _step(self, buffer: bytes, at: int, cut: Cut) -> int | None:
        """Takes what begins at ``at``, and returns where to go on; None: more bytes are needed."""
        if self._left:
            return self._long_piece(buffer, at, cut)
        count = _COUNT.match(buffer, at)
        if count is not None:
            return self._counted(buffer, count, cut)
        if _MAYBE_COUNT.match(buffer, at):
            return None
        return self._uncounted(buffer, at, cut)

    def _counted(self, buffer: bytes, count: re.Match[bytes], cut: Cut) -> int | None:
        length, begin = int(count[1]), count.end()
        if length > self._most:
            self._left = length
            return begin
        if begin + length > len(buffer):
            return None
        cut.messages.append(buffer[begin : begin + length].removesuffix(b"\n"))
        return begin + length

    def _long_piece(self, buffer: bytes, at: int, cut: Cut) -> int | None:
        piece = buffer[at : at + self._left]
        if len(piece) == self._left:
            self._left = 0
            self._long.end(piece, cut)
            return at + len(piece)
        rest = self._long.begin(piece, cut)
        given = len(piece) - len(rest)
        self._left -= given
        return at + given if given else None

    def _uncounted(self, buffer: bytes, at: int, cut: Cut) -> int | None:
        if buffer[at] in _LINE_ENDS:  # some senders add one to each message, uncounted
            return at + 1
        reason = "no count of octets where one is due"
        cut.refused.append(Refused(buffer[at:], reason, "FramingLost"))
        self._rest = b""
        raise FramingLost(reason, cut)


class OctetsOrLines(Octets):
    """A message that begins with a count and ``<`` is counted, any other is a line. One step for a run of lines."""

    def __init__(self, most: int, *, split: bool, blank: bool = False) -> None:
        super().__init__(most, split=split)
        self._lines = Lines(most, split=split, blank=blank)

    @property
    def pending(self) -> bool:
        return super().pending or self._lines.pending

    def end(self, *, clean: bool) -> Cut:
        if not self._left and self._rest and not self._rest.startswith(b"<") and b"<" not in self._rest:
            self._lines.feed(self._rest)  # digits only, which began no count after all
            self._rest = b""
        cut, lines = super().end(clean=clean), self._lines.end(clean=clean)
        return Cut(cut.messages + lines.messages, cut.refused + lines.refused)

    def _step(self, buffer: bytes, at: int, cut: Cut) -> int | None:
        if self._lines.pending:
            return self._hand_on(buffer, at, buffer.find(b"\n", at) + 1, cut)
        return super()._step(buffer, at, cut)

    def _counted(self, buffer: bytes, count: re.Match[bytes], cut: Cut) -> int | None:
        if count.end() == len(buffer):
            return None
        if buffer[count.end() : count.end() + 1] != b"<":
            return self._uncounted(buffer, count.start(), cut)
        return super()._counted(buffer, count, cut)

    def _uncounted(self, buffer: bytes, at: int, cut: Cut) -> int | None:
        counted = _LINE_BEFORE_COUNT.search(buffer, at)
        return self._hand_on(buffer, at, counted.end() if counted else buffer.rfind(b"\n", at) + 1, cut)

    def _hand_on(self, buffer: bytes, at: int, stop: int, cut: Cut) -> int:
        """Lines up to ``stop``; to the end of the buffer if that is 0, for then a line goes on after it."""
        stop = stop or len(buffer)
        found = self._lines.feed(buffer[at:stop])
        cut.messages += found.messages
        cut.refused += found.refused
        return stop
