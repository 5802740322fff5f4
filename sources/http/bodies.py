"""From a body as it came to the bytes that the client meant: decompressed, never beyond a limit."""

from __future__ import annotations

import sys
import zlib

from ingest.sources.http.refused import Refused

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_CODINGS = 3
"""Codings on top of each other; more are no body that anybody means."""
_WINDOW_LOG = 27


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
    parts: list[bytes] = []
    left = limit
    while body or not parts:
        stream = zlib.decompressobj(window)
        parts.append(stream.decompress(body, left + 1))
        left -= len(parts[-1])
        if left < 0:
            raise _too_large(limit)
        if not stream.eof:
            raise zlib.error("it ends in the middle")
        body = stream.unused_data
        if body and not many:
            raise zlib.error("something follows its end")
    return b"".join(parts)


def _zstd(body: bytes, limit: int) -> bytes:
    parts: list[bytes] = []
    left = limit
    while body or not parts:
        stream = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})
        parts.append(stream.decompress(body, left + 1))
        left -= len(parts[-1])
        if left < 0:
            raise _too_large(limit)
        if not stream.eof:
            raise zstd.ZstdError("it ends in the middle")
        body = stream.unused_data
    return b"".join(parts)


def _too_large(limit: int) -> Refused:
    return Refused(413, f"decompressed, the body has more than {limit} bytes")
