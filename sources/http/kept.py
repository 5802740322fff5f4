"""What is remembered of a request with an idempotency key, and how it is packed.

a key      digest (16 bytes) · fingerprint of the body (8) · time, ms (8) · length (2) · answer, all big-endian
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_KEY = struct.Struct(">16s8sQH")


@dataclass(frozen=True, slots=True)
class Kept:
    """A request that was stored: the digest of its key, the fingerprint of its body, and its answer."""

    digest: bytes
    fingerprint: bytes
    time_ms: int
    answer: bytes


def pack(kept: Iterable[Kept]) -> bytes:
    """One behind the other."""
    return b"".join(_KEY.pack(one.digest, one.fingerprint, one.time_ms, len(one.answer)) + one.answer for one in kept)


def unpack(packed: bytes) -> Iterator[Kept]:
    """The inverse of ``pack``."""
    at = 0
    while at < len(packed):
        digest, fingerprint, time_ms, length = _KEY.unpack_from(packed, at)
        at += _KEY.size
        yield Kept(digest, fingerprint, time_ms, packed[at : at + length])
        at += length
