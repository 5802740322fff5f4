"""From a body as it came to the bytes that the client meant: decompressed, never beyond a limit."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from typing import Any

from ingest.sources.http.refused import Refused

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_CODINGS = 3
"""Codings on top of each other; more are no body that anybody means."""
_WINDOW_LOG = 27
_MOST_MEMBERS = 10_000
"""Each costs some 20 microseconds, even if it is empty and has nine bytes."""
_FIRST_PIECE_BYTES = 1024


def decoded(body: bytes, encoding: str, limit: int) -> bytes:
    """``body`` with every coding of Content-Encoding undone.

    Raises ``Refused``: 415 for a coding that is not known, 413 beyond ``limit``, 400 for bytes that are not in it.
    """
    codings = [name.strip().lower() for name in encoding.split(",") if name.strip()]
    if len(codings) > _CODINGS:
        raise Refused(415, f"more than {_CODINGS} content codings")
    for name in reversed(codings):
        if name != "identity":
            body = _undone(body, name, limit)
    return body


def _undone(body: bytes, name: str, limit: int) -> bytes:
    try:
        if name in ("gzip", "x-gzip"):
            return _inflated(body, 31, limit, many=True)
        if name == "deflate":
            return _deflated(body, limit)
        if name == "zstd":
            return _zstd(body, limit)
    except (zlib.error, zstd.ZstdError) as error:
        raise Refused(400, f"the body is not {name}: {error}") from None
    accepted = {"Accept-Encoding": "gzip, zstd, deflate"}
    raise Refused(415, f"the content coding {name[:40]!r} is not known here", headers=accepted)


def _deflated(body: bytes, limit: int) -> bytes:
    """HTTP's ``deflate`` is zlib's format; some clients send the bare one."""
    try:
        return _inflated(body, 15, limit)
    except zlib.error:
        return _inflated(body, -15, limit)


def _inflated(body: bytes, window: int, limit: int, *, many: bool = False) -> bytes:
    return _members(body, lambda: zlib.decompressobj(window), limit, many=many)


def _zstd(body: bytes, limit: int) -> bytes:
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
    return _members(body, lambda: zstd.ZstdDecompressor(options=options), limit)


def _members(body: bytes, begin: Callable[[], Any], limit: int, *, many: bool = True) -> bytes:
    """The content of all members (frames), one behind the other.

    A decompressor copies what follows its member: it is given pieces that grow with the member, or a body would be
    copied as often as it has members.
    """
    view, at = memoryview(body), 0
    parts: list[bytes] = []
    left, count = limit, 0
    while at < len(body) or not at:
        stream, size, count = begin(), _FIRST_PIECE_BYTES, count + 1
        if count > _MOST_MEMBERS:
            raise Refused(400, f"the body is compressed in more than {_MOST_MEMBERS} parts")
        while not stream.eof:
            piece = view[at : at + size]
            if not piece:
                raise zlib.error("it ends in the middle")
            content = stream.decompress(piece, left + 1)
            at, size = at + len(piece), size * 2
            left -= len(content)
            if left < 0:
                raise _too_large(limit)
            if content:
                parts.append(content)
        at -= len(stream.unused_data)
        if at < len(body) and not many:
            raise zlib.error("something follows its end")
    return b"".join(parts)


def _too_large(limit: int) -> Refused:
    return Refused(413, f"decompressed, the body has more than {limit} bytes")
