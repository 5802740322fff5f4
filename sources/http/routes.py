"""Which topic a path leads to, and who may post there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from ingest.sources.http.authentication import Authenticator, authenticator_for
from ingest.sources.http.refused import Refused
from ingest.sources.http.settings import PLACEHOLDER, RouteSettings

_LEGAL_PART = re.compile(r"[A-Za-z0-9._-]{1,200}")


@dataclass(frozen=True, slots=True)
class Route:
    """One entry of the settings, made ready. ``topic`` "" is the source's own."""

    pattern: re.Pattern[str]
    topic: str
    format: str
    authenticator: Authenticator
    kept_headers: tuple[tuple[bytes, str], ...]
    scope: bytes
    """Idempotency keys count within it."""


@dataclass(frozen=True, slots=True)
class Match:
    """Where a request goes."""

    route: Route
    topic: str


class Routes:
    """Used by the server's thread only."""

    def __init__(self, settings: Sequence[RouteSettings], most_topics: int) -> None:
        self._routes = [_made(one) for one in settings]
        self._most_topics = most_topics
        self._topics: set[str] = set()
        self._known: dict[bytes, Match] = {}

    def match(self, url: bytes) -> Match:
        """Raises ``Refused`` with 404."""
        path = url.partition(b"?")[0]
        found = self._known.get(path)
        if found is None:
            found = self._find(path)
            if len(self._known) < 10_000:
                self._known[path] = found
        return found

    def _find(self, path: bytes) -> Match:
        try:
            text = unquote_to_bytes(path).decode("utf-8")
        except UnicodeDecodeError:
            raise Refused(404, "the path is not UTF-8") from None
        for route in self._routes:
            found = route.pattern.fullmatch(text)
            if found is not None:
                return Match(route, self._topic(route, found.groupdict()))
        raise Refused(404, "nothing is listened for at this path")

    def _topic(self, route: Route, names: dict[str, str]) -> str:
        if not names or "{" not in route.topic:
            return route.topic
        if not all(_LEGAL_PART.fullmatch(part) for part in names.values()):
            raise Refused(404, "a part of the path that names a topic has letters, digits, dots, dashes, underscores")
        topic = PLACEHOLDER.sub(lambda name: names[name.group(1)], route.topic)
        if len(topic) > 249 or topic.startswith(("_ingest_", "__")) or topic in (".", ".."):
            raise Refused(404, "the path names no topic that events may go to")
        if topic not in self._topics and len(self._topics) >= self._most_topics:
            raise Refused(404, f"paths lead to {self._most_topics} topics already, the most that are allowed")
        self._topics.add(topic)
        return topic


def _made(settings: RouteSettings) -> Route:
    assert settings.format is not None
    assert settings.auth is not None
    pattern, start = "", 0
    for name in PLACEHOLDER.finditer(settings.path):
        pattern += re.escape(settings.path[start : name.start()]) + f"(?P<{name.group(1)}>[^/]+)"
        start = name.end()
    return Route(
        pattern=re.compile(pattern + re.escape(settings.path[start:])),
        topic=settings.topic or "",
        format=settings.format,
        authenticator=authenticator_for(settings.auth),
        kept_headers=tuple((name.lower().encode(), name) for name in settings.headers or ()),
        scope=settings.path.encode(),
    )
