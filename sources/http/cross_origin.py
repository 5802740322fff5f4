"""CORS: what a browser asks before a page may post, and what it must find in the answer."""

from __future__ import annotations

from collections.abc import Mapping

from ingest.sources.http import responses
from ingest.sources.http.settings import Cors


class CrossOrigin:
    """Without settings it says nothing, and no browser lets a page of another origin post."""

    def __init__(self, settings: Cors | None) -> None:
        self._settings = settings

    def headers(self, request_headers: Mapping[bytes, bytes]) -> bytes:
        """Header lines for the answer to a page's request."""
        if self._settings is None:
            return b""
        origin = self._allowed(request_headers)
        if origin is None:
            return b"Vary: Origin\r\n"
        exposed = "Retry-After, Idempotent-Replayed"
        return responses.lines(
            {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": exposed, "Vary": "Origin"}
        )

    def preflight(self, request_headers: Mapping[bytes, bytes]) -> bytes:
        """Header lines for the answer to OPTIONS."""
        settings = self._settings
        if settings is None or self._allowed(request_headers) is None:
            return b"Allow: POST, OPTIONS\r\n"
        return responses.lines(
            {
                "Allow": "POST, OPTIONS",
                "Access-Control-Allow-Methods": "POST",
                "Access-Control-Allow-Headers": ", ".join(settings.headers),
                "Access-Control-Max-Age": str(settings.max_age // 1000),
            }
        )

    def _allowed(self, request_headers: Mapping[bytes, bytes]) -> str | None:
        assert self._settings is not None
        origin = request_headers.get(b"origin", b"").decode("latin-1")
        if "*" in self._settings.origins:
            return "*"
        return origin if origin in self._settings.origins else None
