"""The JSON objects of a text that came as one piece: one object, one a line, or the items of one list.

They are looked at whole and stay as they are written; who stores them stores these very bytes. The compiled kernel
where it is built, else the twin; ``INGEST_PURE=1`` forces the twin.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ingest.formats import json_events_twin

try:
    if os.environ.get("INGEST_PURE"):
        raise ImportError("the twin was asked for")
    from ingest.formats._json_events import find_items, find_lines, find_object, gather

    COMPILED = True
except ImportError:
    COMPILED = False
    from ingest.formats.json_events_twin import find_items, find_lines, find_object, gather

Layout = Literal["lines", "list"]

_REASONS = {
    json_events_twin.NOT_JSON: "not JSON",
    json_events_twin.NOT_OBJECT: "JSON, but no object",
    json_events_twin.TOO_DEEP: "nested too deep",
    json_events_twin.NO_LIST: "no list",
}
_NO_ROOM = -1


@dataclass(frozen=True, slots=True)
class BadEvent:
    """The first value that is none of the objects wanted: ``number`` counts from 0, ``line`` from 1, ``position`` is
    the byte of the text at which it shows."""

    number: int
    line: int
    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class Events:
    """Where each object begins and ends in the text; ``bad`` says why these are not all."""

    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    bad: BadEvent | None = None

    def __len__(self) -> int:
        return len(self.starts)

    def cut_from(self, text: bytes) -> tuple[memoryview, NDArray[np.int64]]:
        """The objects' bytes, one behind the other, and the size of each."""
        sizes = self.stops - self.starts
        data = np.empty(int(sizes.sum()), np.uint8)
        gather(text, self.starts, self.stops, data)
        return data.data, sizes


def bad_object(text: bytes, *, max_depth: int) -> BadEvent | None:
    """What is wrong with a text that should be one object, space around it allowed; None if it is."""
    trouble, at = find_object(text, max_depth)
    return _bad(text, 0, trouble, at, max_depth) if trouble else None


def find(text: bytes, layout: Layout, *, max_depth: int) -> Events:
    """Every object of ``text``, or those before the first that is none."""
    if layout == "lines":
        room = text.count(b"\n") + 1
        starts, stops = np.empty(room, np.int64), np.empty(room, np.int64)
        count, trouble, at = find_lines(text, max_depth, starts, stops)
    else:
        room = min(1024, len(text) // 3 + 1)
        while True:
            starts, stops = np.empty(room, np.int64), np.empty(room, np.int64)
            count, trouble, at = find_items(text, max_depth, starts, stops)
            if trouble != _NO_ROOM:
                break
            room *= 8
    bad = _bad(text, count, trouble, at, max_depth) if trouble else None
    return Events(starts[:count], stops[:count], bad)


def _bad(text: bytes, number: int, trouble: int, at: int, max_depth: int) -> BadEvent:
    line = text.count(b"\n", 0, at) + 1
    in_line = at - (text.rfind(b"\n", 0, at) + 1)
    reason = _REASONS[trouble]
    if trouble == json_events_twin.NOT_JSON:
        reason += f" at byte {in_line} of the line"
    elif trouble == json_events_twin.TOO_DEEP:
        reason += f": more than {max_depth} levels"
    return BadEvent(number, line, at, reason)
