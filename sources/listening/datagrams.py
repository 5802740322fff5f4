"""The door for datagrams: each is a message."""

from __future__ import annotations

import contextlib
import socket

from ingest.sources.listening.address import peer_text
from ingest.sources.listening.door import Door
from ingest.sources.listening.intake import PEER, Intake
from ingest.sources.listening.kernel_drops import dropped
from ingest.sources.messages.cut import Cut, LongMessages

BUFFER_BYTES = 8 * 1024 * 1024
"""Asked of the system for the socket; it gives what ``net.core.rmem_max`` allows."""

_AT_ONCE = 256
_LARGEST = 65_535
_FORCE = 33  # SO_RCVBUFFORCE, for those who may
_ENDS = b"\r\n\0"


class DatagramDoor(Door):
    """While the inbox is full nothing is read: what the socket's buffer cannot hold either is dropped by the
    system, which counts it; the count is reported."""

    def __init__(self, listening: socket.socket, intake: Intake, long_messages: LongMessages) -> None:
        super().__init__(listening)
        self._intake = intake
        self._long = long_messages
        self._paused = False
        self._dropped = dropped(listening) or 0
        for option in (socket.SO_RCVBUF, _FORCE):
            with contextlib.suppress(OSError):
                listening.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)

    async def open(self) -> None:
        self.loop.add_reader(self.listening, self._receive)

    def pause(self) -> None:
        self._paused = True
        self.loop.remove_reader(self.listening)

    def resume(self) -> None:
        self._paused = False
        if self.listening.fileno() >= 0:
            self.loop.add_reader(self.listening, self._receive)

    def tick(self) -> None:
        count = dropped(self.listening) if self.listening.fileno() >= 0 else None
        if count is not None and count > self._dropped:
            more, self._dropped = count - self._dropped, count
            self._intake.notices.note("datagrams were lost: the socket's buffer was full", f"{count} in all", more)

    def farewell(self) -> None:
        return

    async def close(self) -> None:
        if self.listening.fileno() >= 0:
            self.tick()
            self.loop.remove_reader(self.listening)
            self.listening.close()

    def _receive(self) -> None:
        by_sender: dict[tuple[str, int], Cut] = {}
        for _ in range(_AT_ONCE):
            try:
                data, sender = self.listening.recvfrom(_LARGEST)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                self._intake.notices.note("a datagram could not be read", str(error))
                break
            message = data.rstrip(_ENDS)
            if message:
                self._long.end(message, by_sender.setdefault(sender[:2], Cut()))
        for sender, cut in by_sender.items():
            if self._intake.allow.allows(sender[0]):
                self._intake.take(cut, ((PEER, peer_text(sender).encode()),))
            else:
                count = len(cut.messages) + len(cut.refused)
                self._intake.notices.note(
                    "datagrams from an address that is not allowed were dropped", peer_text(sender), count
                )
