"""Idempotency keys and their answers as positions of the source, so that they commit with the records.

A position holds the keys of many requests, packed. New keys make a small one with each step; sixteen of a size are
packed into one of the next size, and one whose keys are all older than the window is forgotten. So there are few of
them, and each key is written some three times.

    position   {"version": 1, "newest_ms": …, "count": n, "keys": "<base64>"}
               keys as in kept.py
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ingest.connectors import Position
from ingest.errors import ConnectorError
from ingest.sources.http import kept
from ingest.sources.http.kept import Kept

VERSION = 1
PREFIX = "keys/"
_MERGED = 16
_LARGEST_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class _Pack:
    number: int
    level: int
    newest_ms: int
    count: int
    keys: bytes

    def as_position(self) -> Position:
        return {
            "version": VERSION,
            "level": self.level,
            "newest_ms": self.newest_ms,
            "count": self.count,
            "keys": base64.b64encode(self.keys).decode(),
        }


class KeyStore:
    """Used by the task's thread only. What ``add`` returns must commit before the next call."""

    def __init__(self, window_ms: int, most: int) -> None:
        self._window_ms = window_ms
        self._most = most
        self._packs: list[_Pack] = []
        self._numbers: Iterator[int] = itertools.count(1)

    def restore(self, positions: Mapping[str, Position]) -> bytes:
        """Takes up what the hub has committed; returns all of it, packed.

        Raises ``ConnectorError`` for what this version cannot read.
        """
        packs = []
        for stream, position in positions.items():
            if stream.startswith(PREFIX):
                packs.append(_read(stream, position))
        self._packs = sorted(packs, key=lambda pack: pack.number)
        self._numbers = itertools.count(self._packs[-1].number + 1 if self._packs else 1)
        return b"".join(pack.keys for pack in self._packs)

    def add(self, requests: Iterable[Kept], now_ms: int) -> dict[str, Position | None]:
        """The positions that remember ``requests`` too."""
        fresh = list(requests)
        if not fresh:
            return {}
        changed: dict[str, Position | None] = {}
        self._forget(now_ms, changed)
        newest_ms = max(one.time_ms for one in fresh)
        self._packs.append(_Pack(next(self._numbers), 0, newest_ms, len(fresh), kept.pack(fresh)))
        new = {self._packs[-1].number: self._packs[-1]}
        self._merge(new, changed)
        changed |= {f"{PREFIX}{number}": pack.as_position() for number, pack in new.items()}
        return changed

    def _forget(self, now_ms: int, changed: dict[str, Position | None]) -> None:
        """The oldest: beyond the window, or more than there may be."""
        total = sum(pack.count for pack in self._packs)
        while self._packs:
            oldest = self._packs[0]
            if oldest.newest_ms + self._window_ms >= now_ms and total - oldest.count < self._most:
                return
            total -= oldest.count
            changed[f"{PREFIX}{oldest.number}"] = None
            del self._packs[0]

    def _merge(self, new: dict[int, _Pack], changed: dict[str, Position | None]) -> None:
        while len(self._packs) >= _MERGED:
            last = self._packs[-_MERGED:]
            if any(pack.level != last[0].level for pack in last) or sum(len(p.keys) for p in last) > _LARGEST_BYTES:
                return
            for pack in last:
                if new.pop(pack.number, None) is None:
                    changed[f"{PREFIX}{pack.number}"] = None
            merged = _Pack(
                next(self._numbers),
                last[0].level + 1,
                max(pack.newest_ms for pack in last),
                sum(pack.count for pack in last),
                b"".join(pack.keys for pack in last),
            )
            self._packs[-_MERGED:] = [merged]
            new[merged.number] = merged


def _read(stream: str, position: Position) -> _Pack:
    try:
        if position["version"] != VERSION:
            raise ValueError("of another version")
        keys = base64.b64decode(position["keys"], validate=True)
        number = int(stream.removeprefix(PREFIX))
        return _Pack(number, int(position["level"]), int(position["newest_ms"]), int(position["count"]), keys)
    except (KeyError, TypeError, ValueError) as error:
        raise ConnectorError(
            f"the idempotency keys under {stream!r} cannot be read: {error}",
            hint="`ingest positions reset` forgets them: a request that is repeated then may be stored twice",
        ) from error
