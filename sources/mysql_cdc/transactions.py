"""Which transaction each event of a binlog belongs to, and what the server calls it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ingest.sources.mysql_cdc.place import Place
from ingest.sources.mysql_cdc.server import normal
from ingest.sources.mysql_cdc.stream import Events

GTID, MYSQL_GTID, ANONYMOUS, XID = 162, 33, 34, 16
_HEAD = 19


class Transactions:
    """Follows begins and ends; ``place`` is where to go on: behind what has ended, or at the begin of what has not."""

    def __init__(self, place: Place) -> None:
        self.file = place.file
        self._after = place.after
        self._position = place.position
        self._state = {_domain(each): each for each in place.gtid.split(",") if each}
        self._state_before = place.gtid
        self.is_open = False
        self.seen = place.position
        self.gtid: str | None = None

    @property
    def place(self) -> Place:
        """After the events that were followed."""
        after = max(self.seen, self._after) if self.is_open else 0
        return Place(self.file, self._position, after, self._state_before)

    @property
    def order(self) -> tuple[int, int]:
        """As ``Place.order``, of the last event."""
        return Place(self.file, self.seen).order

    @property
    def done(self) -> int:
        """Events that end up to here were committed before: the transaction is read again from its begin."""
        return self._after

    def begin(self, position: int) -> None:
        """A transaction begins there, unless one has."""
        if not self.is_open:
            self._position, self.is_open = position, True

    def end(self, position: int) -> None:
        """It ends there."""
        self.is_open = False
        self._after = 0
        self._position = self.seen = position
        if self.gtid:
            self._state[_domain(self.gtid)] = self.gtid
        self._state_before = normal(",".join(self._state.values()))

    def turn_to(self, file: str, position: int) -> None:
        """The log goes on in another file."""
        if file != self.file:
            self._after = 0
        self.file, self.seen = file, position
        if not self.is_open:
            self._position = position

    def follow(self, events: Events, first: int, last: int) -> tuple[np.ndarray, Sequence[str | None]]:
        """Events of row changes and what surrounds them. Returns for each event a number, and the name of the
        transaction of each number."""
        heads = events.heads[first:last]
        names: list[str | None] = [self.gtid]
        begins = np.isin(heads[:, 1], (GTID, MYSQL_GTID, ANONYMOUS))
        numbers = np.cumsum(begins)
        for place in np.flatnonzero(begins | (heads[:, 1] == XID)).tolist():
            end = int(heads[place, 3])
            if heads[place, 1] == XID:
                self.end(end)
                continue
            self.gtid = _name(events, first + place)
            names.append(self.gtid)
            self.begin(end - events.size(first + place))
        self._see(heads)
        return numbers, names

    def _see(self, heads: np.ndarray) -> None:
        """Events that belong to no transaction move the place, too."""
        real = heads[:, 3] > 0
        if real.any():
            self.seen = max(self.seen, int(heads[real, 3][-1]))
            if not self.is_open:
                self._position = self.seen


def _domain(gtid: str) -> str:
    return gtid.partition("-")[0] if "-" in gtid and ":" not in gtid else gtid.partition(":")[0]


def _name(events: Events, number: int) -> str | None:
    head = events.heads[number]
    start = int(events.starts[number]) + _HEAD
    if head[1] == GTID:
        sequence = int.from_bytes(events.data[start : start + 8], "little")
        domain = int.from_bytes(events.data[start + 8 : start + 12], "little")
        return f"{domain}-{head[2]}-{sequence}"
    if head[1] == ANONYMOUS:
        return None
    server = events.data[start + 1 : start + 17].tobytes().hex()
    sequence = int.from_bytes(events.data[start + 17 : start + 25], "little")
    return f"{server[:8]}-{server[8:12]}-{server[12:16]}-{server[16:20]}-{server[20:]}:{sequence}"
