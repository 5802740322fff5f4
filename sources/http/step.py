"""One step of the source: many requests as few columns, and each one's answer once it is known where they went."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ingest.connectors import HEADERS, Origin, Records
from ingest.connectors.source import Landed
from ingest.sources.http.request import Accepted, Events

Header = tuple[str, bytes]
_Group = tuple[str, str, object]


@dataclass(slots=True)
class _Column:
    """Requests whose events go into one ``Records``, one behind the other."""

    topic: str
    format: str
    chunks: list[pa.Array] = field(default_factory=list)
    singles: list[bytes] = field(default_factory=list)
    requests: list[Accepted] = field(default_factory=list)
    has_headers: bool = False

    def add(self, accepted: Accepted) -> None:
        events = accepted.events
        self.requests.append(accepted)
        self.has_headers = self.has_headers or bool(events.headers)
        if isinstance(events.value, bytes):
            self.singles.append(events.value)
        else:
            self._end_singles()
            self.chunks.append(events.value)

    def _end_singles(self) -> None:
        if self.singles:
            self.chunks.append(_column(self.singles, pa.binary() if self.format == "bytes" else pa.string()))
            self.singles = []

    def records(self, source: str) -> Records:
        self._end_singles()
        value = self.chunks[0] if len(self.chunks) == 1 else pa.concat_arrays(self.chunks)
        headers = _headers(self.requests) if self.has_headers else None
        origin = Origin(source, "http")
        return Records(value=value, topic=self.topic, format=self.format, headers=headers, origin=origin)


class Step:
    """Built in the task's thread; ``answers`` are told to the server's."""

    def __init__(self, requests: Sequence[Accepted]) -> None:
        self.requests = requests
        self._columns: dict[_Group, _Column] = {}
        for accepted in requests:
            key = _group(accepted)
            column = self._columns.get(key)
            if column is None:
                column = self._columns[key] = _Column(accepted.topic, accepted.events.format)
            column.add(accepted)

    def records(self, source: str) -> list[Records]:
        """In the order that ``Landed.polled`` counts in."""
        return [column.records(source) for column in self._columns.values()]

    def answers(self, landed: Sequence[Landed]) -> list[tuple[Accepted, bytes]]:
        """The body of each request's 202."""
        found: list[tuple[Accepted, bytes]] = []
        for number, column in enumerate(self._columns.values()):
            places = [place for place in landed if place.polled == number]
            counts = [accepted.events.count for accepted in column.requests]
            if len(places) == 1 and places[0].rows is not None and places[0].count == sum(counts):
                found += zip(column.requests, _whole(places[0], counts), strict=True)
            else:
                found += zip(column.requests, _parted(places, counts), strict=True)
        return found


def _column(values: Sequence[bytes], kind: pa.DataType) -> pa.Array:
    """The values as they are: they were found to be UTF-8 before."""
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum([len(value) for value in values], out=offsets[1:])
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(values))])


def _group(accepted: Accepted) -> _Group:
    """Values of one type go together; struct columns only where their fields are the same."""
    events = accepted.events
    kind = "" if isinstance(events.value, bytes) or pa.types.is_string(events.value.type) else events.value.type
    return accepted.topic, events.format, kind


def _whole(place: Landed, counts: Iterable[int]) -> Iterable[bytes]:
    """Everything went to one partition, in order: as good as always."""
    start = f'{{"topic": "{place.topic}", "partition": {place.partition}, "offset": '
    offset = place.first
    for count in counts:
        yield f'{start}{offset}, "count": {count}}}'.encode()
        offset += count


def _parted(places: Sequence[Landed], counts: Sequence[int]) -> Iterable[bytes]:
    """By key or by a transform the events went to several places, or some went nowhere."""
    rows = [_ascending(place) for place in places]
    first = 0
    for count in counts:
        parts = []
        for place, (ordered, order) in zip(places, rows, strict=True):
            start, stop = np.searchsorted(ordered, [first, first + count])
            if place.rows is None:
                parts.append(_part(place, place.first, place.count))
            elif stop > start:
                parts.append(_part(place, place.first + int(order[start:stop].min()), int(stop - start)))
        first += count
        yield _answer(parts, count)


def _ascending(place: Landed) -> tuple[np.ndarray, np.ndarray]:
    rows = np.empty(0, np.int64) if place.rows is None else place.rows.to_numpy()
    order = np.argsort(rows, kind="stable")
    return rows[order], order


def _part(place: Landed, offset: int, count: int) -> dict[str, object]:
    return {"topic": place.topic, "partition": place.partition, "offset": offset, "count": count}


def _answer(parts: Sequence[dict[str, object]], received: int) -> bytes:
    if not parts:
        return json.dumps({"count": 0, "received": received}).encode()
    stored = sum(int(str(part["count"])) for part in parts)
    answer = {**parts[0], "count": stored}
    if stored != received:
        answer["received"] = received
    if len(parts) > 1:
        answer["parts"] = list(parts)
    return json.dumps(answer).encode()


def _headers(requests: Sequence[Accepted]) -> pa.Array:
    """Each event of a request has the request's headers."""
    names: list[str] = []
    values: list[bytes] = []
    lengths: list[int] = []
    for accepted in requests:
        events: Events = accepted.events
        for name, value in events.headers:
            names.append(name)
            values.append(value)
        lengths.append(len(events.headers))
    pairs = pa.StructArray.from_arrays(
        [pa.array(names, pa.string()), pa.array(values, pa.binary())], fields=list(HEADERS.value_type)
    )
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    each = pa.ListArray.from_arrays(pa.array(offsets), pairs).cast(HEADERS)
    counts = np.array([accepted.events.count for accepted in requests])
    if (counts == 1).all():
        return each
    return each.take(pa.array(np.repeat(np.arange(len(requests)), counts)))
