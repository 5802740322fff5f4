"""The checks that a request passes, in order: the cheap ones before its body is read, the others after."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from ingest.clock import Clock
from ingest.sources.http import responses
from ingest.sources.http.addresses import Addresses
from ingest.sources.http.bodies import decoded
from ingest.sources.http.cross_origin import CrossOrigin
from ingest.sources.http.events import Cutter
from ingest.sources.http.rate_limit import RateLimiter
from ingest.sources.http.refused import Refused
from ingest.sources.http.request import Events, Request
from ingest.sources.http.routes import Routes
from ingest.sources.http.settings import HttpSettings

_METHODS = (b"POST", b"OPTIONS")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A body that was found good."""

    events: Events
    fingerprint: bytes


class Door:
    """``enter`` is called by the server's thread only, ``looked_at`` by any."""

    def __init__(self, settings: HttpSettings, clock: Clock) -> None:
        self._clock = clock
        self._limits = settings.limits
        self._routes = Routes(settings.all_routes, settings.most_topics)
        self._addresses = Addresses(settings.allow_from, settings.trusted_proxies)
        self._rate = RateLimiter(settings.rate_limit) if settings.rate_limit else None
        self._cutter = Cutter(depth=settings.limits.depth, csv_delimiter=settings.csv_delimiter)
        self.cross_origin = CrossOrigin(settings.cors)

    def enter(self, request: Request) -> None:
        """Once the headers are there; sets ``request.match``. Raises ``Refused``."""
        headers = request.headers
        client = self._addresses.client(request.peer, headers.get(b"x-forwarded-for"))
        if not self._addresses.allows(client):
            raise Refused(403, "this address may not post here")
        request.match = self._routes.match(request.url)
        if request.method not in _METHODS:
            raise Refused(405, "events are posted", headers={"Allow": "POST, OPTIONS"})
        if self._rate is not None:
            self._rate.check(client, self._clock.monotonic_ms())
        if request.method == b"OPTIONS":
            return
        request.match.route.authenticator.check_headers(headers)
        self._check_length(headers.get(b"content-length"))

    def looked_at(self, request: Request, *, keyed: bool) -> Prepared | Refused:
        """Once the body is there. ``keyed``: its fingerprint will be asked for."""
        try:
            return self._prepared(request, keyed)
        except Refused as refused:
            # The frames of a traceback hold the body until the garbage collector comes by.
            refused.__context__ = None
            return refused.with_traceback(None)

    def _prepared(self, request: Request, keyed: bool) -> Prepared:
        assert request.match is not None
        route, headers = request.match.route, request.headers
        body = request.chunks[0] if len(request.chunks) == 1 else b"".join(request.chunks)
        route.authenticator.check_body(headers, body, self._clock.now_ms())
        fingerprint = hashlib.blake2b(body, digest_size=8).digest() if keyed else b""
        encoding = headers.get(b"content-encoding")
        if encoding is not None:
            body = decoded(body, encoding.decode("latin-1"), self._limits.body)
        events = self._cutter.cut(route.format, body, headers)
        if route.kept_headers:
            kept = tuple((name, headers[key]) for key, name in route.kept_headers if key in headers)
            events = replace(events, headers=(*events.headers, *kept))
        return Prepared(events, fingerprint)

    def forget_idle(self) -> None:
        """Called now and then."""
        if self._rate is not None:
            self._rate.forget_idle(self._clock.monotonic_ms())

    def refusal(self, refused: Refused) -> tuple[int, bytes, bytes]:
        """Status, body and header lines."""
        return refused.status, refused.body(), responses.lines(refused.headers)

    def _check_length(self, declared: bytes | None) -> None:
        if declared is not None and declared.isdigit() and int(declared[:20]) > self._limits.body:
            raise too_large(self._limits.body)


def too_large(limit: int) -> Refused:
    """413 for a body as it comes."""
    return Refused(413, f"a body has at most {limit} bytes here")
