"""Requests with an idempotency key, while they wait and for a window after: a repeat gets the answer of the first.

The server's process owns this; what outlives it is in ``key_store``.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ingest.sources.http.kept import Kept, unpack
from ingest.sources.http.refused import Refused
from ingest.sources.http.request import Request

_LONGEST_KEY = 255


@dataclass(slots=True)
class Pending:
    """The first request with a key waits for the hub, and its repeats with it."""

    fingerprint: bytes
    repeats: list[Request] = field(default_factory=list)


class Repeats:
    """By the digest of scope and key."""

    def __init__(self, header_names: Sequence[str], window_ms: int, most: int) -> None:
        self._names = [name.lower().encode() for name in header_names] if window_ms else []
        self._window_ms = window_ms
        self._most = most
        self._kept: dict[bytes, Kept] = {}
        self._order: deque[tuple[int, bytes]] = deque()
        self._pending: dict[bytes, Pending] = {}

    def digest(self, scope: bytes, headers: Mapping[bytes, bytes]) -> bytes | None:
        """Of the request's key; None if it has none. Raises ``Refused`` for one that cannot be."""
        for name in self._names:
            key = headers.get(name)
            if key is not None:
                if not 0 < len(key) <= _LONGEST_KEY:
                    raise Refused(400, f"{name.decode()} has 1 to {_LONGEST_KEY} characters")
                return hashlib.blake2b(scope + b"\0" + key, digest_size=16).digest()
        return None

    def answered(self, digest: bytes, fingerprint: bytes) -> bytes | None:
        """The answer that a request with this key has got. Raises ``Refused`` if that had another body."""
        kept = self._kept.get(digest)
        if kept is None:
            return None
        _require_same(kept.fingerprint, fingerprint)
        return kept.answer

    def joins(self, digest: bytes, fingerprint: bytes, request: Request) -> bool:
        """Whether the request has joined one that waits; if not, it is the first."""
        pending = self._pending.get(digest)
        if pending is None:
            self._pending[digest] = Pending(fingerprint)
            return False
        _require_same(pending.fingerprint, fingerprint)
        pending.repeats.append(request)
        return True

    def settle(self, digest: bytes, answer: bytes | None, now_ms: int) -> Iterable[Request]:
        """The first request is answered (None: it was refused, and the next one is first again); its repeats."""
        pending = self._pending.pop(digest)
        if answer is not None:
            self.keep(Kept(digest, pending.fingerprint, now_ms, answer))
        return pending.repeats

    def keep(self, kept: Kept) -> None:
        """Remembers, and forgets the oldest beyond the most that are allowed."""
        if self._window_ms:
            self._kept[kept.digest] = kept
            self._order.append((kept.time_ms, kept.digest))
            if len(self._kept) > self._most:
                self._forget_oldest()

    def replace(self, packed: bytes) -> None:
        """Remembers just these: what the hub knows."""
        self._kept.clear()
        self._order.clear()
        for one in sorted(unpack(packed), key=lambda one: one.time_ms):
            self.keep(one)

    def forget_old(self, now_ms: int) -> None:
        """Those beyond the window."""
        while self._order and self._order[0][0] + self._window_ms < now_ms:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        time_ms, digest = self._order.popleft()
        kept = self._kept.get(digest)
        if kept is not None and kept.time_ms == time_ms:
            del self._kept[digest]


def _require_same(first: bytes, repeat: bytes) -> None:
    if first != repeat:
        raise Refused(422, "another request with this idempotency key had another body")
