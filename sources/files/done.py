"""Which objects have been read to their end: sixteen bytes for each that is still there.

The streams ``.done/<number>`` hold the set in pieces, so that a step rewrites one piece and not all: two 64-bit
hashes an object, one of its name and one of its version. An object that has been gone for a day is dropped from
the set (``.absent`` says since when it is); so the state is bounded by what the folder holds, and no object is
taken for an old one by its time. Drawn in docs/guides/files.md.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np

from ingest.connectors import Position
from ingest.errors import ConnectorError
from ingest.sources.files.place import Found

PREFIX = ".done/"
ABSENT = ".absent"
PIECE = 1024
"""Objects in a stream."""
FORGET_MS = 86_400_000
_MOST_ABSENT = 16 * 1024
_VERSION = 1
_PAIR = np.dtype([("name", "<u8"), ("version", "<u8")])
_GONE = np.dtype([("name", "<u8"), ("since_ms", "<u8")])

Changes = dict[str, Position | None]


class State(IntEnum):
    """What is known of an object."""

    NEW = 0
    READ = 1
    CHANGED = 2
    """It was read, or told of, in another version."""
    KEPT = 3
    """It could not be read, or was not: it is told of, and never put away."""


class DoneSet:
    """Kept by the task; what changes it says which positions change by that."""

    def __init__(self) -> None:
        self._pieces: dict[str, np.ndarray] = {}
        self._absent = np.empty(0, _GONE)
        self._names = np.empty(0, np.uint64)
        self._versions = np.empty(0, np.uint64)
        self._fresh: dict[int, int] = {}
        """Added since the index was made."""
        self._last = 0
        """The piece that is being filled."""

    @classmethod
    def restore(cls, positions: Mapping[str, Position]) -> DoneSet:
        """From the streams that are its own; others are passed over."""
        done = cls()
        for stream, position in positions.items():
            if stream == ABSENT:
                done._absent = _decoded(stream, position, _GONE)
            elif stream.startswith(PREFIX):
                done._pieces[stream] = _decoded(stream, position, _PAIR)
                done._last = max(done._last, int(stream.removeprefix(PREFIX)))
        done._index()
        return done

    def __len__(self) -> int:
        return sum(len(piece) for piece in self._pieces.values())

    def add(self, found: Found, *, kept: bool = False) -> Changes:
        """It counts as read from now on; another version of it no longer does."""
        pair = np.array([(_hash(found.name), _version(found) | kept)], _PAIR)
        changed = self._take_out(pair["name"])
        if len(self._pieces.get(f"{PREFIX}{self._last}", ())) >= PIECE:
            self._last += 1
        last = f"{PREFIX}{self._last}"
        self._pieces[last] = np.concatenate([self._pieces.get(last, np.empty(0, _PAIR)), pair])
        self._fresh[int(pair["name"][0])] = int(pair["version"][0])
        if len(self._fresh) > PIECE:
            self._index()
        return self._positions({*changed, last})

    def drop(self, found: Found) -> Changes:
        """It has been put away, and another of its name would be a new one."""
        changed = self._take_out(hashes([found]))
        self._index()
        return self._positions(changed)

    def note_present(self, present: np.ndarray, now_ms: int) -> Changes:
        """After a whole listing that showed these names (hashes): drops what has been gone for a day."""
        gone = np.setdiff1d(self._all("name"), present)[:_MOST_ABSENT]
        since = dict(zip(self._absent["name"].tolist(), self._absent["since_ms"].tolist(), strict=True))
        absent = np.array([(name, min(since.get(name, now_ms), now_ms)) for name in gone.tolist()], _GONE)
        over = absent[absent["since_ms"] + FORGET_MS <= now_ms]["name"]
        changed = self._take_out(over)
        if len(over):
            self._index()
        absent = absent[~np.isin(absent["name"], over)]
        changes = self._positions(changed)
        if not np.array_equal(absent["name"], self._absent["name"]):
            changes[ABSENT] = _encoded(absent) if len(absent) else None
        self._absent = absent
        return changes

    def states(self, objects: Sequence[Found]) -> list[State]:
        """What is known of each."""
        names = hashes(objects)
        places = np.searchsorted(self._names, names)
        found = []
        for name, place, item in zip(names.tolist(), places.tolist(), objects, strict=True):
            known = self._fresh.get(name)
            if known is None and place < len(self._names) and self._names[place] == name:
                known = int(self._versions[place])
            found.append(_state(known, item))
        return found

    def _take_out(self, names: np.ndarray) -> set[str]:
        """Returns the streams that held some of them."""
        if not any(self._knows(name) for name in names.tolist()):
            return set()
        changed = set()
        for stream, piece in self._pieces.items():
            left = piece[~np.isin(piece["name"], names)]
            if len(left) < len(piece):
                self._pieces[stream] = left
                changed.add(stream)
        for name in names.tolist():
            self._fresh.pop(name, None)
        return changed

    def _knows(self, name: int) -> bool:
        place = int(np.searchsorted(self._names, np.uint64(name)))
        return name in self._fresh or (place < len(self._names) and int(self._names[place]) == name)

    def _positions(self, streams: Iterable[str]) -> Changes:
        found: Changes = {}
        for stream in streams:
            piece = self._pieces[stream]
            found[stream] = _encoded(piece) if len(piece) else None
            if not len(piece):
                del self._pieces[stream]
        return found

    def _index(self) -> None:
        names = self._all("name")
        order = np.argsort(names)
        self._names, self._versions = names[order], self._all("version")[order]
        self._fresh = {}

    def _all(self, field: str) -> np.ndarray:
        pieces = [piece[field] for piece in self._pieces.values()]
        return np.concatenate(pieces) if pieces else np.empty(0, np.uint64)


def hashes(objects: Sequence[Found]) -> np.ndarray:
    """Of the names."""
    return np.array([_hash(found.name) for found in objects], np.uint64)


def is_own(stream: str) -> bool:
    """Whether a stream holds part of the set, rather than an object that is being read."""
    return stream == ABSENT or stream.startswith(PREFIX)


def _state(known: int | None, found: Found) -> State:
    if known is None:
        return State.NEW
    if known & ~1 != _version(found):
        return State.CHANGED
    return State.KEPT if known & 1 else State.READ


def _version(found: Found) -> int:
    """The lowest bit is free to say that the object is kept."""
    return _hash(found.version) & ~1


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "little")


def _encoded(rows: np.ndarray) -> Position:
    return {"version": _VERSION, "objects": base64.b64encode(rows.tobytes()).decode("ascii")}


def _decoded(stream: str, position: Mapping[str, Any], kind: np.dtype[Any]) -> np.ndarray:
    if position.get("version") != _VERSION:
        raise ConnectorError(
            f"the position {stream} is of version {position.get('version')!r}, and {_VERSION} is known here",
            hint="`ingest positions reset` begins anew",
        )
    return np.frombuffer(base64.b64decode(position["objects"]), kind)
