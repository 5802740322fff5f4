"""Answers as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PROBLEM = "application/problem+json"


def accepted(body: bytes, extra: bytes, date: bytes, *, close: bool) -> bytes:
    """The answer that matters for speed."""
    ending = b"Connection: close\r\n\r\n" if close else b"\r\n"
    return b"%b%b%bContent-Length: %d\r\n%b%b" % (_ACCEPTED, date, extra, len(body), ending, body)


def response(status: int, body: bytes, extra: bytes, date: bytes, *, close: bool, content_type: str = PROBLEM) -> bytes:
    """Any other; ``extra`` are whole header lines."""
    head = f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\n".encode()
    if body:
        head += f"Content-Type: {content_type}\r\n".encode()
    if status != 204:
        head += f"Content-Length: {len(body)}\r\n".encode()
    return head + date + extra + (b"Connection: close\r\n" if close else b"") + b"\r\n" + body


def lines(headers: Mapping[str, str]) -> bytes:
    """Header lines."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("latin-1")
