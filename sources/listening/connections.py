"""The door for connections: TCP, and TLS on top of it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

from ingest.sources.listening.address import peer_text
from ingest.sources.listening.connection import Connection, keep_alive
from ingest.sources.listening.door import Door
from ingest.sources.listening.intake import Intake

NewConnection = Callable[[str, Callable[[Connection], None]], Connection]
"""Makes the connection of a peer, which tells when it is lost."""

_ACCEPT_AT_ONCE = 64
_HANDSHAKE_S = 10
_CLOSE_S = 1
_PAUSE_S = 1


class ConnectionDoor(Door):
    """Connections are counted from the moment they are accepted, so half a handshake is no way around the limit."""

    def __init__(
        self,
        listening: socket.socket,
        intake: Intake,
        new_connection: NewConnection,
        *,
        tls: ssl.SSLContext | None,
        most: int,
        idle_ms: int,
    ) -> None:
        super().__init__(listening)
        self._intake = intake
        self._new = new_connection
        self._tls = tls
        self._most = most
        self._idle_ms = idle_ms
        self._paused = False
        self._opening: set[asyncio.Task[None]] = set()
        self._connections: set[Connection] = set()
        """Those whose handshake is not done yet, too."""
        self._empty = asyncio.Event()
        self._leaving = False

    async def open(self) -> None:
        self.loop.add_reader(self.listening, self._accept)

    def pause(self) -> None:
        self._paused = True
        for connection in self._connections:
            connection.pause()

    def resume(self) -> None:
        self._paused = False
        for connection in self._connections:
            connection.resume()

    def tick(self) -> None:
        if self._idle_ms:
            for connection in list(self._connections):
                connection.close_if_idle(self._idle_ms)

    def farewell(self) -> None:
        self._leaving = True
        self.loop.remove_reader(self.listening)
        self.listening.close()
        for connection in list(self._connections):
            connection.farewell()

    async def close(self) -> None:
        if not self._leaving:
            self.farewell()
        for task in self._opening:
            task.cancel()
        for connection in list(self._connections):
            connection.close()
        if self._connections:
            self._empty.clear()  # it is set since the last time that all were gone
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), _CLOSE_S)
        for connection in list(self._connections):
            connection.abort()

    def _accept(self) -> None:
        for _ in range(_ACCEPT_AT_ONCE):
            try:
                made, peer = self.listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no descriptors are left: those who wait at the door can wait
                self._intake.notices.note("no connection can be accepted", str(error))
                self.loop.remove_reader(self.listening)
                self.loop.call_later(_PAUSE_S, self._accept_again)
                return
            if self._is_welcome(peer):
                made.setblocking(False)
                keep_alive(made)
                task = self.loop.create_task(self._admit(made, peer))
                self._opening.add(task)
                task.add_done_callback(self._opening.discard)
            else:
                made.close()

    def _accept_again(self) -> None:
        if not self._leaving:
            self.loop.add_reader(self.listening, self._accept)

    def _is_welcome(self, peer: tuple[str, int]) -> bool:
        if not self._intake.allow.allows(peer[0]):
            self._intake.notices.note("a connection from an address that is not allowed was refused", peer_text(peer))
            return False
        if len(self._connections) >= self._most:
            self._intake.notices.note(f"more than {self._most} connections: one was refused", peer_text(peer))
            return False
        return True

    async def _admit(self, made: socket.socket, peer: tuple[str, int]) -> None:
        connection = self._new(peer_text(peer), self._lost)
        self._connections.add(connection)
        if self._paused:
            connection.pause()
        try:
            await self.loop.connect_accepted_socket(
                lambda: connection, made, ssl=self._tls, ssl_handshake_timeout=_HANDSHAKE_S if self._tls else None
            )
        except (OSError, TimeoutError) as error:
            self._lost(connection)
            self._intake.notices.note("a connection failed before it began", f"{connection.peer}: {error}")

    def _lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()
