"""One listing: which objects wait to be read, which have changed, which are to be put away."""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from fsspec.utils import glob_translate

from ingest.sources.files.done import DoneSet, State, hashes
from ingest.sources.files.place import Found, Place
from ingest.sources.files.settings import FilesSettings

MOST_WAITING = 10_000
"""Objects that wait in memory; of more the first ones, and the others by the next listing."""
_CHUNK = 4096


@dataclass(slots=True)
class Looked:
    """``waiting`` are in the order in which they are to be read; ``left_out`` says that there are more.
    ``present`` are the hashes of all names that the source is to read, and those of the too young."""

    waiting: list[Found] = field(default_factory=list)
    changed: list[Found] = field(default_factory=list)
    read: list[Found] = field(default_factory=list)
    young: list[Found] = field(default_factory=list)
    present: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))
    troubles: dict[str, str] = field(default_factory=dict)
    left_out: bool = False


class Looking:
    """``is_young`` tells whether an object may be half written."""

    def __init__(self, place: Place, settings: FilesSettings, is_young: Callable[[Found], bool]) -> None:
        self._place = place
        self._settings = settings
        self._is_young = is_young
        self._wanted = _matcher(settings.pattern)
        self._excluded = _matcher(settings.exclude)

    def look(self, done: DoneSet, only: np.ndarray | None = None) -> Looked:
        """Lists all; ``only`` (hashes) leaves out what came later. Raises ``Gone`` if there is no folder."""
        looked, parts = Looked(), []
        objects = self._place.walk(looked.troubles)
        while chunk := list(islice(objects, _CHUNK)):
            chosen = [found for found in chunk if self._is_ours(found.name)]
            names = hashes(chosen)
            parts.append(names)
            if only is not None:
                chosen = [chosen[row] for row in np.flatnonzero(np.isin(names, only)).tolist()]
            self._sort(chosen, done.states(chosen), looked)
        looked.present = np.concatenate(parts) if parts else looked.present
        looked.waiting.sort(key=self._order)
        return looked

    def _is_ours(self, name: str) -> bool:
        return not name or (self._wanted(name) and not self._excluded(name))

    def _sort(self, objects: list[Found], states: list[State], looked: Looked) -> None:
        keeps = self._settings.after == "keep"
        for found, state in zip(objects, states, strict=True):
            if state == State.KEPT or (state == State.READ and keeps):
                continue
            if state == State.READ:
                looked.read.append(found)
            elif self._is_young(found):
                looked.young.append(found)
            else:
                (looked.waiting if state == State.NEW else looked.changed).append(found)
        for listed in (looked.read, looked.young, looked.changed):
            looked.left_out |= len(listed) > MOST_WAITING
            del listed[MOST_WAITING:]
        if len(looked.waiting) > MOST_WAITING:
            looked.left_out = True
            looked.waiting = heapq.nsmallest(MOST_WAITING, looked.waiting, key=self._order)

    def _order(self, found: Found) -> tuple[object, ...]:
        return (found.name,) if self._settings.order == "name" else (found.modified_ms, found.name)


def _matcher(globs: list[str]) -> Callable[[str], bool]:
    patterns = [re.compile(glob_translate(glob)) for glob in globs]
    return lambda name: any(pattern.match(name) for pattern in patterns)
