"""What came of a piece of a stream, and what happens to messages that are too long."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

TOO_LONG = "MessageTooLong"
CUT_OFF = "CutOff"

_CHARACTER_BYTES = 4


@dataclass(frozen=True, slots=True)
class Refused:
    """Bytes that are no record: ``reason`` is one sentence, ``error`` the class of failure."""

    data: bytes
    reason: str
    error: str


@dataclass(slots=True)
class Cut:
    """Whole messages, and what can be none; both in the order in which they came."""

    messages: list[bytes] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.messages or self.refused)


class Framing(Protocol):
    """Finds the messages in one stream. Holds at most one message that is not whole yet."""

    def feed(self, data: bytes) -> Cut:
        """What ``data`` completes. Raises ``FramingLost`` where the stream can no longer be read."""
        ...

    def end(self, *, clean: bool) -> Cut:
        """The stream is over: what was left in it. ``clean`` tells that the sender ended it by itself."""
        ...


class FramingLost(Exception):
    """No message can be found any more; ``cut`` is what came before, and the bytes that made no sense."""

    def __init__(self, reason: str, cut: Cut) -> None:
        super().__init__(reason)
        self.cut = cut


class LongMessages:
    """Gives out a message that is longer than ``most`` in pieces as they come, so that none is held whole.

    With ``split`` each piece is a record, cut between two UTF-8 characters where there are any; else it is refused.
    """

    def __init__(self, most: int, *, split: bool) -> None:
        self.most = most
        self._split = split
        self.inside = False
        """Pieces of the message that is being read have been given out already."""

    def end(self, message: bytes, cut: Cut) -> None:
        """``message`` is whole, or the last of one that is being given out."""
        rest = self.begin(message, cut) if self.inside or len(message) > self.most else message
        if rest or not self.inside:
            self._give(rest, cut)
        self.inside = False

    def begin(self, data: bytes, cut: Cut) -> bytes:
        """The message goes on after ``data``; returns what is not given out yet."""
        while len(data) > self.most:
            self.inside = True
            length = _at_character(data, self.most) if self._split else self.most
            self._give(data[:length], cut)
            data = data[length:]
        return data

    def _give(self, piece: bytes, cut: Cut) -> None:
        if self._split or not self.inside:
            cut.messages.append(piece)
        else:
            cut.refused.append(Refused(piece, f"a piece of a message that is longer than {self.most} bytes", TOO_LONG))


def _at_character(data: bytes, length: int) -> int:
    for back in range(min(_CHARACTER_BYTES, length)):
        if data[length - back] & 0xC0 != 0x80:
            return length - back
    return length
