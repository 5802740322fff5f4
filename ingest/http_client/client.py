"""One request, one answer: bounded in bytes and in time, without retries and redirects of its own."""

from __future__ import annotations

import queue
import ssl
import threading
from collections.abc import Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import urllib3

from ingest.clock import Clock
from ingest.errors import ConnectorError, SystemUnavailable

_READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """Any status; header names in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def excerpt(self) -> str:
        """The beginning of the body, for messages."""
        text = " ".join(self.body[:300].decode("utf-8", "replace").split())
        return text[:200]


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None


class HttpClient:
    """Sends from a thread of its own, so that nobody has to wait for a server that does not answer.

    ``timeout_ms`` bounds a whole request, from connecting to the last byte. Errors and messages name a URL without
    its query, which may hold secrets. ``url`` tells whether TLS is needed at all: authorities take long to load.
    """

    def __init__(self, url: str, clock: Clock, *, timeout_ms: int, most_bytes: int, ca: Path | None = None) -> None:
        self._clock = clock
        self._timeout_ms = timeout_ms
        self._most_bytes = most_bytes
        tls = _tls(ca) if url.startswith("https:") else None
        self._pool = urllib3.PoolManager(retries=False, ssl_context=tls)
        self._requests: queue.SimpleQueue[tuple[Request, Future[Answer]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._begun_ms = 0

    def begin(self, request: Request) -> Future[Answer]:
        """One at a time. The future fails with ``SystemUnavailable`` where there is no whole answer in time."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="http client", daemon=True)
            self._thread.start()
        self._begun_ms = self._clock.monotonic_ms()
        done: Future[Answer] = Future()
        self._requests.put((request, done))
        return done

    def answer(self, asked: Future[Answer], wait_ms: int) -> Answer | None:
        """What ``begin`` promised; None if it is not there within ``wait_ms``. A server that drips headers keeps the
        thread busy, but nobody else: it is given up a little after its time."""
        if not wait([asked], wait_ms / 1000).done:
            if self._clock.monotonic_ms() - self._begun_ms > 2 * self._timeout_ms:
                raise SystemUnavailable(f"no whole answer came within {2 * self._timeout_ms} ms")
            return None
        return asked.result()

    def close(self) -> None:
        """Whatever is on its way is given up; its thread ends by itself."""
        self._requests.put(None)

    def _run(self) -> None:
        while (item := self._requests.get()) is not None:
            request, done = item
            try:
                done.set_result(self._send(request))
            except Exception as error:
                done.set_exception(error)
        self._pool.clear()

    def _send(self, request: Request) -> Answer:
        begun_ms = self._clock.monotonic_ms()
        place = place_of(request.url)
        seconds = self._timeout_ms / 1000
        try:
            response = self._pool.urlopen(
                request.method,
                request.url,
                headers={"Accept-Encoding": "gzip, deflate", **request.headers},
                body=request.body,
                redirect=False,
                preload_content=False,
                timeout=urllib3.Timeout(total=seconds),
            )
            try:
                body = self._read(response, begun_ms, place)
            except BaseException:
                response.close()
                raise
            response.release_conn()
        except urllib3.exceptions.LocationValueError as error:
            raise ConnectorError(f"{place} is no URL: {error}") from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise SystemUnavailable(f"{request.method} {place}: {_words(error)}") from None
        return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, body)

    def _read(self, response: urllib3.BaseHTTPResponse, begun_ms: int, place: str) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while chunk := response.read1(_READ_BYTES, decode_content=True):
            chunks.append(chunk)
            size += len(chunk)
            if size > self._most_bytes:
                raise ConnectorError(
                    f"{place}: the answer is larger than {self._most_bytes} bytes",
                    hint="ask for smaller pages, or raise `max_body`",
                )
            if self._clock.monotonic_ms() - begun_ms > self._timeout_ms:
                raise SystemUnavailable(f"{place}: the answer did not end within {self._timeout_ms} ms")
        return b"".join(chunks)


def place_of(url: str) -> str:
    """The URL without its query, its fragment and its user."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def same_origin(one: str, other: str) -> bool:
    """Whether both lie on one server: what may see the same secrets."""
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, first.netloc.rpartition("@")[2]) == (second.scheme, second.netloc.rpartition("@")[2])


def _tls(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca is None else str(ca))
    except (OSError, ssl.SSLError) as error:
        raise ConnectorError(f"{ca} cannot be used as authority: {error}", hint="a PEM file of certificates") from error


def _words(error: BaseException) -> str:
    """What went wrong, without the URL (urllib3 repeats it) and without addresses of objects."""
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return "the name of the server cannot be resolved"
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return f"no connection: {str(error).rpartition(': ')[2]}"
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "no answer in time"
    if isinstance(error, urllib3.exceptions.SSLError):
        return f"TLS: {error}"
    return f"the connection broke: {error.__class__.__name__}"
