"""Where a round stands: the page, and how the next one is found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from ingest.errors import ConnectorError
from ingest.http_client.client import Answer, place_of, same_origin
from ingest.sources.http_poll.json_records import at
from ingest.sources.http_poll.settings import HttpPollSettings

Place = Mapping[str, Any]
"""One of ``{}`` (the beginning), ``{"page": 2}``, ``{"offset": 100}``, ``{"cursor": "..."}``, ``{"url": "..."}``."""


def url_of(settings: HttpPollSettings, place: Place, since: Any) -> str:
    """The URL of a page, without secrets."""
    if "url" in place:
        return str(place["url"])
    pages, params = settings.pages, dict(settings.params)
    if pages.size_param is not None:
        params[pages.size_param] = str(pages.size)
    if settings.since is not None and since is not None:
        params[settings.since.param] = str(since)
    if pages.type == "page":
        params[pages.param or "page"] = str(place.get("page", pages.first))
    elif pages.type == "offset":
        params[pages.param or "offset"] = str(place.get("offset", 0))
    elif pages.type == "cursor" and "cursor" in place:
        params[pages.param or "cursor"] = str(place["cursor"])
    if not params:
        return settings.url
    return f"{settings.url}{'&' if '?' in settings.url else '?'}{urlencode(params)}"


def next_place(settings: HttpPollSettings, place: Place, answer: Answer, body: Any, count: int) -> Place | None:
    """The page after this one of ``count`` records; None: this is the last, for now."""
    pages = settings.pages
    if pages.type == "page":
        assert pages.size is not None
        return {"page": place.get("page", pages.first) + 1} if count >= pages.size else None
    if pages.type == "offset":
        return {"offset": place.get("offset", 0) + count} if count else None
    if pages.type == "cursor":
        cursor = at(body, pages.path or "")
        is_end = cursor is None or cursor is False or cursor == "" or cursor == place.get("cursor")
        return None if is_end else {"cursor": cursor}
    if pages.type == "none":
        return None
    url = at(body, pages.path or "") if pages.type == "next" else linked(answer.headers.get("link", ""))
    return {"url": _followed(settings, str(url))} if url else None


def linked(header: str) -> str | None:
    """The target of ``rel="next"`` in a header ``Link`` (RFC 8288)."""
    for part in header.split(","):
        target, _, parameters = part.strip().partition(";")
        rels = [
            value.strip().strip('"').lower() for name, _, value in map(_pair, parameters.split(";")) if name == "rel"
        ]
        if any("next" in rel.split() for rel in rels) and target.startswith("<") and target.endswith(">"):
            return target[1:-1]
    return None


def _pair(parameter: str) -> tuple[str, str, str]:
    name, equals, value = parameter.partition("=")
    return name.strip().lower(), equals, value


def _followed(settings: HttpPollSettings, url: str) -> str:
    """A page's URL, which must lie on the same server: secrets go along with it. One that it repeats is taken out."""
    target = urljoin(settings.url, url)
    if not same_origin(settings.url, target):
        raise ConnectorError(
            f"the next page lies on another server: {place_of(target)}",
            hint="secrets are not sent elsewhere; use the URL of that server, if it is the right one",
        )
    if settings.auth.type != "query":
        return target
    parts = urlsplit(target)
    kept = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != settings.auth.name]
    return urlunsplit(parts._replace(query=urlencode(kept)))
