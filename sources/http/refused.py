"""Why a request is not taken, as the client is told (RFC 9457, problem details)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus


class Refused(Exception):
    """Raised where a request is looked at. Nothing of the request is stored."""

    def __init__(self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **facts: object) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.facts = facts

    def body(self) -> bytes:
        """As ``application/problem+json``."""
        problem = {"status": self.status, "title": HTTPStatus(self.status).phrase, "detail": self.detail}
        return json.dumps(problem | self.facts).encode()


def busy(detail: str) -> Refused:
    """503: the same request may be taken a moment later."""
    return Refused(503, detail, headers={"Retry-After": "1"})
