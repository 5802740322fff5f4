"""One connection: bytes in, whole requests out, answers back in their order.

A connection has one request at a time. What a client sends before its answer (pipelining) waits, and nothing more is
read from it meanwhile. Used by the server's thread only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import httptools

from ingest.sources.http import responses
from ingest.sources.http.door import too_large
from ingest.sources.http.refused import Refused
from ingest.sources.http.request import Request

if TYPE_CHECKING:
    from ingest.sources.http.server import Server

_MOST_HEADERS = 128
_MOST_PIPELINED = 64
_LINGER_MS = 2_000


class Connection(asyncio.Protocol):
    """``deadline_ms`` is when the server gives up on it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: Any = None
        self._peer = ""
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._head_size = 0
        self._request: Request | None = None
        self._complete: deque[Request] = deque()
        self._answering: Request | None = None
        self._held_back = False
        self._closing = False
        self._refusal: Refused | None = None
        """Sent once those before it have their answers; nothing is read any more."""
        self.received = 0
        """Bytes of a body that is still coming in."""
        self.deadline_ms = 0

    # -- the event loop calls

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        address = transport.get_extra_info("peername")
        self._peer = address[0] if address else ""
        self.deadline_ms = self._server.now_ms + self._server.limits.idle_time
        if not self._server.joined(self, self._peer):
            self._closing = True
            transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._closing = True
        self._server.left(self, self._peer)
        self._forget_body()
        self._request = None
        self._complete.clear()

    def data_received(self, data: bytes) -> None:
        if self._closing or self._refusal is not None:
            return
        if self._request is None:
            # Counted per piece: a head that is still incomplete after this much is refused.
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            refused = error.__context__ if isinstance(error.__context__, Refused) else None
            self._refuse(refused or Refused(400, f"this is no HTTP request: {error}"))
        if self._request is None and self._head_size > self._server.limits.header and not self._closing:
            self._refuse(Refused(431, f"the headers have more than {self._server.limits.header} bytes"))
        self._hold_back()

    def eof_received(self) -> bool:
        """A client may close its side and still wait for its answer."""
        return self._answering is not None and bool(self._transport.can_write_eof())

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        if not self._held_back and not self._closing:
            self._transport.resume_reading()

    # -- the parser calls

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = {}
        self.deadline_ms = self._server.now_ms + self._server.limits.request_time

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        headers = self._headers
        if name in headers:
            value = headers[name] + b", " + value
        elif len(headers) >= _MOST_HEADERS:
            raise Refused(431, f"more than {_MOST_HEADERS} headers")
        headers[name] = value

    def on_headers_complete(self) -> None:
        parser = self._parser
        request = Request(self, parser.get_method(), self._url, self._headers, parser.should_keep_alive())
        request.peer = self._peer
        self._request = request
        if parser.should_upgrade():
            raise Refused(501, "other protocols are not spoken here")
        self._server.door.enter(request)
        if b"expect" in self._headers and not self._complete and self._answering is None:
            self._transport.write(responses.CONTINUE)

    def on_body(self, body: bytes) -> None:
        request = self._request
        assert request is not None
        request.chunks.append(body)
        request.size += len(body)
        if request.size > self._server.limits.body:
            raise too_large(self._server.limits.body)
        self.received += len(body)
        self._server.receives(self, len(body))

    def on_message_complete(self) -> None:
        request, self._request = self._request, None
        assert request is not None
        self._head_size = 0
        self._forget_body()
        if self._closing:
            return
        if self._answering is None:
            self._begin(request)
        elif len(self._complete) >= _MOST_PIPELINED:
            raise Refused(429, "too many requests without waiting for an answer")
        else:
            self._complete.append(request)

    # -- the server calls

    def answer(self, request: Request, status: int, body: bytes, headers: bytes = b"") -> None:
        """The one for the request that waits; the next one's turn."""
        if self._closing:
            return
        server = self._server
        close = not request.keep_alive or server.stopping
        if server.cross_origin:
            headers += server.door.cross_origin.headers(request.headers)
        if status == 202:
            self._transport.write(responses.accepted(body, headers, server.date, close=close))
        else:
            self._transport.write(responses.response(status, body, headers, server.date, close=close))
        self._answering = None
        if close:
            self._close()
            return
        self.deadline_ms = server.now_ms + server.limits.idle_time
        if self._complete:
            self._begin(self._complete.popleft())
        elif self._refusal is not None:
            self._send_refusal(self._refusal)
        elif self._held_back:
            self._held_back = False
            self._transport.resume_reading()

    def expire(self) -> None:
        """Its time is over: half a request is told so, a quiet connection just closed."""
        if self._closing:
            self._transport.abort()
        elif self._answering is not None:
            return  # the hub's turn
        elif self._request is not None or self._head_size:
            self._refuse(Refused(408, "the request did not come in whole in time"))
        else:
            self._close()

    def give_up(self) -> None:
        """Too much is coming in from everybody, and this one began first."""
        self._refuse(Refused(503, "too many bodies are coming in slowly", headers={"Retry-After": "1"}))

    def stop(self) -> None:
        """Closes once the answer is out."""
        if self._answering is None:
            if self._request is not None or self._head_size:
                self._refuse(Refused(503, "the server stops", headers={"Retry-After": "1"}))
            else:
                self._close()

    def _begin(self, request: Request) -> None:
        self._answering = request
        self._server.handle(request)

    def _hold_back(self) -> None:
        """While a request waits for its answer, nothing more is read."""
        if self._answering is not None and not self._held_back and not self._closing:
            self._held_back = True
            self._transport.pause_reading()

    def _refuse(self, refused: Refused) -> None:
        """The answer to a request of which not all was read: the connection cannot go on."""
        if self._closing or self._refusal is not None:
            return
        refused.__context__ = None
        self._refusal = refused.with_traceback(None)  # its frames know this connection, and what was read
        self._forget_body()
        self._request = None
        if self._answering is None:
            self._send_refusal(refused)

    def _send_refusal(self, refused: Refused) -> None:
        status, body, headers = self._server.door.refusal(refused)
        if self._server.cross_origin:
            headers += self._server.door.cross_origin.headers(self._headers)
        self._transport.write(responses.response(status, body, headers, self._server.date, close=True))
        self._linger()

    def _linger(self) -> None:
        """Ends our side only: closing while the client still sends would take the answer from it."""
        self._closing = True
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self.deadline_ms = self._server.now_ms + _LINGER_MS
        else:
            self._transport.close()

    def abort(self) -> None:
        """At once."""
        self._transport.abort()

    def _close(self) -> None:
        self._closing = True
        self._transport.close()

    def _forget_body(self) -> None:
        if self.received:
            self._server.receives(self, -self.received)
            self.received = 0
