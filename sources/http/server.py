"""The server: an event loop, in a process of its own, which accepts, checks and answers, and never waits for the hub.

It may outlive a task of the source: while none is attached, because the last one failed and the next is not there
yet, requests are answered 503.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path
from typing import Any

from ingest.environment import Environment
from ingest.errors import ConfigError, StorageDenied, SystemUnavailable
from ingest.sources.http.connection import Connection
from ingest.sources.http.door import Door, Prepared
from ingest.sources.http.outbox import Outbox, Send
from ingest.sources.http.refused import Refused, busy
from ingest.sources.http.repeats import Repeats
from ingest.sources.http.request import Accepted, Request
from ingest.sources.http.settings import HttpSettings

_TICK_S = 0.5
_INLINE_BYTES = 32 * 1024
"""A larger body, or one that is compressed, is looked at in another thread."""
_BACKLOG = 1024
_LINGER_MS = 60_000
_STOP_S = 5.0


class Server:
    """Used by the thread of its event loop only, but for ``Door.looked_at``."""

    def __init__(self, settings: HttpSettings, environment: Environment, base_folder: Path, loop: Any) -> None:
        self.limits = settings.limits
        self.cross_origin = settings.cors is not None
        self.stopping = False
        self.date = b""
        self.now_ms = 0
        self._settings = settings
        self._base_folder = base_folder
        self._clock = environment.clock
        self._loop = loop
        self.door = Door(settings, environment.clock)
        idempotency = settings.idempotency
        self._repeats = Repeats(idempotency.headers, idempotency.window, idempotency.keys)
        self._outbox: Outbox | None = None
        self._unattached_ms: int | None = None
        self._connections: dict[Connection, None] = {}
        self._by_peer: dict[str, int] = {}
        self._receiving: dict[Connection, None] = {}
        self._receiving_bytes = 0
        self._looked_at_bytes = 0
        self._listener: Any = None
        self._workers = ThreadPoolExecutor(2, thread_name_prefix="ingest-http-body")

    # -- the task says

    async def listen(self) -> int:
        """Returns the port. Raises ``SystemUnavailable`` while it is taken, ``ConfigError`` for settings at fault."""
        context = self._tls_context()
        host, port = self._settings.address
        self._tick()
        timeouts = {"ssl_handshake_timeout": 10.0, "ssl_shutdown_timeout": 2.0} if context else {}
        try:
            self._listener = await self._loop.create_server(
                lambda: Connection(self), host, port, ssl=context, backlog=_BACKLOG, **timeouts
            )
        except socket.gaierror as error:
            raise ConfigError(f"{host} is no address of this machine: {error.strerror}", setting="listen") from error
        except PermissionError as error:
            raise StorageDenied(f"{self._settings.listen} may not be listened on: {error.strerror}") from error
        except OSError as error:
            raise SystemUnavailable(
                f"{self._settings.listen} cannot be listened on: {error.strerror}",
                hint="another program may have the port; `listen` names another",
            ) from error
        found: int = self._listener.sockets[0].getsockname()[1]
        return found

    def attach(self, send: Send, kept: bytes, step_bytes: int) -> None:
        """From now on ``send`` gets the requests; ``kept`` are those with keys that the hub has stored."""
        self._outbox = Outbox(send, most_bytes=self.limits.waiting, step_bytes=step_bytes)
        self._unattached_ms = None
        self._repeats.replace(kept)

    def detach(self) -> None:
        """Nobody takes requests for now: those that wait are told so."""
        outbox, self._outbox = self._outbox, None
        if outbox is None:
            return
        self._unattached_ms = self._clock.monotonic_ms()
        refused = busy("it is not certain that this was stored; try again")
        for accepted in outbox.given_up():
            self._answer_refused(accepted.request, refused)
            if accepted.digest is not None:
                for repeat in self._repeats.settle(accepted.digest, None, 0):
                    self._answer_refused(repeat, refused)

    def deliver(self, answers: Sequence[bytes]) -> None:
        """The hub has these on disk."""
        assert self._outbox is not None
        for accepted, body in self._outbox.answered(answers):
            request = accepted.request
            request.sender.answer(request, 202, body)
            if accepted.digest is not None:
                for repeat in self._repeats.settle(accepted.digest, body, self._clock.now_ms()):
                    repeat.sender.answer(repeat, 202, body, b"Idempotent-Replayed: true\r\n")

    def refuse_new(self) -> None:
        """The listener is closed, and each connection once it has its answer. What has come in whole is sent."""
        self.stopping = True
        if self._listener is not None:
            self._listener.close()
        for connection in list(self._connections):
            connection.stop()
        if self._outbox is not None:
            self._outbox.flush()

    async def stop(self) -> None:
        """Connections end by themselves; after a while they are ended."""
        self.detach()
        self.refuse_new()
        for _ in range(int(_STOP_S / 0.01)):
            if not self._connections:
                return
            await asyncio.sleep(0.01)
        for connection in list(self._connections):
            connection.abort()

    # -- connections call

    def joined(self, connection: Connection, peer: str) -> bool:
        """Whether there is room for one more."""
        limits = self.limits
        count = self._by_peer.get(peer, 0) + 1
        self._by_peer[peer] = count
        self._connections[connection] = None
        fits = len(self._connections) <= limits.connections and count <= limits.connections_per_address
        return fits and not self.stopping

    def left(self, connection: Connection, peer: str) -> None:
        self._connections.pop(connection, None)
        self._receiving.pop(connection, None)
        count = self._by_peer.pop(peer, 1) - 1
        if count > 0:
            self._by_peer[peer] = count

    def receives(self, connection: Connection, size: int) -> None:
        """Bytes of a body came in, or (negative) are held no more. The oldest bodies give way to new ones."""
        self._receiving_bytes += size
        if size > 0:
            self._receiving.setdefault(connection)
            if self._receiving_bytes > self.limits.receiving:
                self._give_up_oldest(connection)
        else:
            self._receiving.pop(connection, None)

    def handle(self, request: Request) -> None:
        """A request came in whole."""
        if request.method == b"OPTIONS":
            request.sender.answer(request, 204, b"", self.door.cross_origin.preflight(request.headers))
            return
        try:
            assert request.match is not None
            digest = self._repeats.digest(request.match.route.scope, request.headers)
        except Refused as refused:
            self._answer_refused(request, refused)
            return
        if request.size <= _INLINE_BYTES and b"content-encoding" not in request.headers:
            self._looked_at(request, digest, self.door.looked_at(request, keyed=digest is not None))
            return
        if self._looked_at_bytes and self._looked_at_bytes + request.size > self.limits.receiving:
            self._answer_refused(request, busy("too many large bodies have come in already; try again"))
            return
        self._looked_at_bytes += request.size
        work = self._workers.submit(self.door.looked_at, request, keyed=digest is not None)
        work.add_done_callback(lambda done: self._soon(self._worked, request, digest, done))

    # -- the loop calls

    def _soon(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop has ended, and its connections with it
            return

    def _worked(self, request: Request, digest: bytes | None, done: Future[Prepared | Refused]) -> None:
        self._looked_at_bytes -= request.size
        error = done.exception()
        unknown = Refused(500, f"the body could not be looked at: {type(error).__name__}")
        self._looked_at(request, digest, done.result() if error is None else unknown)

    def _looked_at(self, request: Request, digest: bytes | None, found: Prepared | Refused) -> None:
        request.chunks.clear()
        if isinstance(found, Refused):
            self._answer_refused(request, found)
            return
        try:
            self._prepared(request, digest, found)
        except Refused as refused:
            self._answer_refused(request, refused)

    def _prepared(self, request: Request, digest: bytes | None, prepared: Prepared) -> None:
        """Raises ``Refused``."""
        assert request.match is not None
        outbox = self._outbox
        if outbox is None:
            raise busy("nothing is taken right now; try again")
        if digest is not None:
            answer = self._repeats.answered(digest, prepared.fingerprint)
            if answer is not None:
                request.sender.answer(request, 202, answer, b"Idempotent-Replayed: true\r\n")
                return
        if not outbox.has_room(prepared.events.size):
            raise busy("too much waits for the hub already; try again")
        if digest is not None and self._repeats.joins(digest, prepared.fingerprint, request):
            return
        if outbox.put(Accepted(request, request.match.topic, prepared.events, digest, prepared.fingerprint)):
            self._loop.call_soon(outbox.flush)

    def _answer_refused(self, request: Request, refused: Refused) -> None:
        request.sender.answer(request, *self.door.refusal(refused))

    def _give_up_oldest(self, newest: Connection) -> None:
        for connection in list(self._receiving):
            if self._receiving_bytes <= self.limits.receiving:
                return
            if connection is not newest:
                connection.give_up()

    def _tick(self) -> None:
        self.now_ms = self._clock.monotonic_ms()
        self.date = f"Date: {formatdate(self._clock.now_ms() / 1000, usegmt=True)}\r\n".encode()
        for connection in [one for one in self._connections if one.deadline_ms < self.now_ms]:
            connection.expire()
        self._repeats.forget_old(self._clock.now_ms())
        self.door.forget_idle()
        if self._unattached_ms is not None and self.now_ms > self._unattached_ms + _LINGER_MS and not self.stopping:
            # Nobody came back.
            self.refuse_new()
            self._loop.call_later(1.0, self._loop.stop)
            return
        self._loop.call_later(_TICK_S, self._tick)

    def _tls_context(self) -> ssl.SSLContext | None:
        tls = self._settings.tls
        if tls is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self._base_folder / tls.certificate, self._base_folder / tls.key)
            if tls.client_authority is not None:
                context.load_verify_locations(self._base_folder / tls.client_authority)
                context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"the certificate, key or authority cannot be used: {error}", setting="tls") from error
        return context
