"""One sender's connection."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

from ingest.sources.listening.intake import PEER, Intake, Origin
from ingest.sources.listening.tls import subject_of
from ingest.sources.messages.cut import Framing, FramingLost

PEER_NAME = "ingest.peer.name"

_KEEP_ALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))


class Connection(asyncio.Protocol):
    """Cuts what comes into messages. A message that a connection leaves unfinished is never taken for a whole one,
    unless it is a line and the sender has ended the connection in order."""

    def __init__(self, peer: str, on_lost: Callable[[Connection], None], intake: Intake, framing: Framing) -> None:
        self.peer = peer
        self.intake = intake
        self._framing = framing
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._heard_ms = intake.now_ms()
        self.origin: Origin = ((PEER, peer.encode()),)

    # -- called by the listener

    def pause(self) -> None:
        """Reads nothing until ``resume``; so the sender waits."""
        self._paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        self._paused = False
        self._heard_ms = self.intake.now_ms()
        if self._transport is not None:
            self._transport.resume_reading()

    def close_if_idle(self, most_ms: int) -> None:
        """Closes it if nothing was heard for so long, though it was listened to."""
        if not self._paused and self.intake.now_ms() - self._heard_ms >= most_ms:
            self.intake.notices.note("a connection was idle, and is closed", self.peer)
            self.close()

    def farewell(self) -> None:
        """Tells the sender to send no more; what it has sent is still read."""
        transport = self._transport
        if transport is not None and transport.can_write_eof():
            with contextlib.suppress(OSError):
                transport.write_eof()

    def close(self) -> None:
        """In order: what was written is sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # -- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.context.verify_mode == ssl.CERT_REQUIRED:
            self.origin += ((PEER_NAME, subject_of(tls.getpeercert()).encode()),)
        if self._paused:
            transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self._heard_ms = self.intake.now_ms()
        try:
            self.receive(data)
        except FramingLost as lost:
            self.intake.take(lost.cut, self.origin)
            self.intake.notices.note("a connection makes no sense, and is closed", f"{self.peer}: {lost}")
            self.close()

    def eof_received(self) -> None:
        self.ended(clean=True)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended(clean=exc is None)
        self._transport = None
        self._on_lost(self)

    # -- what kinds of connections differ in

    def receive(self, data: bytes) -> None:
        """Takes what has come."""
        self.intake.take(self._framing.feed(data), self.origin)

    def ended(self, *, clean: bool) -> None:
        """Nothing will come any more; called once or twice."""
        self.intake.take(self._framing.end(clean=clean), self.origin)

    def write(self, data: bytes) -> None:
        """Sends, without waiting; nothing if the connection is gone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


def keep_alive(sock: socket.socket) -> None:
    """So that a peer that has gone without a word is noticed within two minutes."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEP_ALIVE:
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
