"""RELP, the protocol of rsyslog that acknowledges: ``TXNR SP COMMAND SP LENGTH [SP DATA] LF``.

A message is acknowledged when the hub has it on disk. A sender whose connection breaks sends again, on the next one,
what was not acknowledged: nothing is lost, and what was on disk without its sender knowing comes twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from ingest.sources.listening.connection import Connection
from ingest.sources.listening.intake import Intake
from ingest.sources.listening.reception import Outside
from ingest.sources.messages.cut import Cut, FramingLost, LongMessages

_HEADER = re.compile(rb"(\d{1,9}) ([A-Za-z]{1,32}) (\d{1,9})([ \n])")
_MAYBE_HEADER = re.compile(rb"(\d{1,9}( ([A-Za-z]{1,32}( (\d{1,9})?)?)?)?)?\Z")
_OFFER = b"200 OK\nrelp_version=0\nrelp_software=ingest\ncommands=syslog"
_MOST_OFFER_BYTES = 4096


class RelpConnection(Connection):
    """Takes one Python step for each message, as each is answered."""

    def __init__(
        self, peer: str, on_lost: Callable[[Connection], None], intake: Intake, long: LongMessages, outside: Outside
    ) -> None:
        super().__init__(peer, on_lost, intake, _NothingFramed())
        self._long = long
        self._outside = outside
        self._rest = b""
        self._left = 0
        """Bytes of a long message that are still to come, its line end included."""
        self._long_number = b""
        self._is_open = False
        self._leaving = False
        self._unanswered = 0
        self._goodbye: bytes | None = None

    def receive(self, data: bytes) -> None:
        buffer = self._rest + data
        cut, numbers = Cut(), list[bytes]()
        at: int | None = 0
        begun = 0
        try:
            while at is not None and at < len(buffer) and self._goodbye is None:
                begun = at
                at = self._step(buffer, at, cut, numbers)
        finally:
            self._rest = b"" if at is not None else buffer[begun:]
            self._hand_over(cut, numbers)

    def ended(self, *, clean: bool) -> None:
        """What is unfinished was not acknowledged, so it will come again."""

    def farewell(self) -> None:
        """Nothing new is read: what is not acknowledged will be sent to whoever comes next."""
        self.pause()
        self._leaving = True

    def resume(self) -> None:
        if not self._leaving:
            super().resume()

    def close(self) -> None:
        self.write(b"0 serverclose 0\n")
        super().close()

    def _hand_over(self, cut: Cut, numbers: list[bytes]) -> None:
        if not cut:
            self._acknowledge(numbers)
            return
        self._unanswered += len(numbers)
        self.intake.take(cut, self.origin, partial(self._outside(self._committed), numbers))

    def _committed(self, numbers: list[bytes]) -> None:
        self._unanswered -= len(numbers)
        self._acknowledge(numbers)
        if self._goodbye is not None and not self._unanswered:
            self._say_goodbye()

    def _acknowledge(self, numbers: list[bytes]) -> None:
        if numbers:
            self.write(b"".join([b"%b rsp 6 200 OK\n" % number for number in numbers]))

    # -- frames

    def _step(self, buffer: bytes, at: int, cut: Cut, numbers: list[bytes]) -> int | None:
        """Takes the frame at ``at``, and returns where to go on; None: more bytes are needed."""
        if self._left:
            return self._long_piece(buffer, at, cut, numbers)
        header = _HEADER.match(buffer, at)
        if header is None:
            if _MAYBE_HEADER.match(buffer, at):
                return None
            raise FramingLost("not a frame of RELP", Cut())
        number, command, length = header[1], header[2].lower(), int(header[3])
        if header[4] == b"\n":
            if length:
                raise FramingLost("a frame of RELP without its data", Cut())
            self._command(number, command, b"", cut, numbers)
            return header.end()
        if length > self._long.most and command == b"syslog" and self._is_open:
            self._left, self._long_number = length, number
            return header.end()
        if length > max(_MOST_OFFER_BYTES, self._long.most):
            raise FramingLost("a frame of RELP that is too long for its command", Cut())
        end = header.end() + length
        if len(buffer) <= end:
            return None
        _check_end(buffer, end)
        self._command(number, command, buffer[header.end() : end], cut, numbers)
        return end + 1

    def _long_piece(self, buffer: bytes, at: int, cut: Cut, numbers: list[bytes]) -> int | None:
        if len(buffer) - at > self._left:
            end = at + self._left
            _check_end(buffer, end)
            self._left = 0
            self._long.end(buffer[at:end], cut)
            numbers.append(self._long_number)
            return end + 1
        piece = buffer[at:]
        given = len(piece) - len(self._long.begin(piece, cut))
        self._left -= given
        return at + given if given else None

    def _command(self, number: bytes, command: bytes, data: bytes, cut: Cut, numbers: list[bytes]) -> None:
        if command == b"open":
            self._open(number, data)
        elif command == b"close":
            self._goodbye = number
            if not self._unanswered and not numbers:
                self._say_goodbye()
        elif command == b"syslog" and self._is_open:
            numbers.append(number)
            message = data.removesuffix(b"\n")
            if message:
                cut.messages.append(message)
        else:
            raise FramingLost(f"the command {command.decode()} is not expected here", Cut())

    def _open(self, number: bytes, offer: bytes) -> None:
        commands = [line.partition(b"=")[2] for line in offer.split(b"\n") if line.startswith(b"commands=")]
        if not any(b"syslog" in names.split(b",") for names in commands):
            self._respond(number, b"500 the command syslog is needed")
            raise FramingLost("the sender does not offer the command syslog", Cut())
        self._is_open = True
        self._respond(number, _OFFER)

    def _respond(self, number: bytes, data: bytes) -> None:
        self.write(b"%b rsp %d %b\n" % (number, len(data), data))

    def _say_goodbye(self) -> None:
        assert self._goodbye is not None
        self.write(b"%b rsp 0\n" % self._goodbye)
        self.close()


class _NothingFramed:
    """RELP frames its messages itself."""

    def feed(self, data: bytes) -> Cut:
        return Cut()

    def end(self, *, clean: bool) -> Cut:
        return Cut()


def _check_end(buffer: bytes, end: int) -> None:
    if buffer[end : end + 1] != b"\n":
        raise FramingLost("a frame of RELP does not end where it says", Cut())
