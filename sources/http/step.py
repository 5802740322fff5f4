"""One step of the source: many requests as few columns, and each one's answer once it is known where they went."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
import pyarrow as pa

from ingest.connectors import HEADERS, Origin, Records
from ingest.connectors.source import Landed
from ingest.sources.http.bundle import Bundle, Headers, Key

Sent = tuple[Bundle, memoryview]
_Group = tuple[str, str, pa.Schema | None]


class _Column:
    """Bundles whose events go into one ``Records``, one behind the other."""

    def __init__(self, bundles: Sequence[Sent]) -> None:
        self.first = bundles[0][0]
        self.counts = np.frombuffer(b"".join(bundle.counts for bundle, _ in bundles), np.int64)
        self._bundles = bundles

    def records(self, source: str, topic: str) -> Records:
        first, bundles = self.first, self._bundles
        has_headers = any(bundle.headers for bundle, _ in bundles)
        return Records(
            value=_table(bundles) if first.is_table else _pieces(bundles),
            topic=first.topic or topic,
            format=first.format,
            headers=_headers([one for bundle, _ in bundles for one in _headers_of(bundle)], self.counts)
            if has_headers
            else None,
            origin=Origin(source, "http"),
        )

    def answers(self, places: Sequence[Landed]) -> Iterable[bytes]:
        counts = self.counts.tolist()
        if len(places) == 1 and places[0].rows is not None and places[0].count == sum(counts):
            return _whole(places[0], counts)
        return _parted(places, counts)


class Step:
    """Requests as they were sent, ``bundles`` in their order."""

    def __init__(self, bundles: Sequence[Sent]) -> None:
        self._bundles = [bundle for bundle, _ in bundles]
        groups: dict[_Group, list[int]] = {}
        for number, sent in enumerate(bundles):
            groups.setdefault(_group(sent), []).append(number)
        self._groups = list(groups.values())
        self._columns = [_Column([bundles[number] for number in numbers]) for numbers in self._groups]

    @property
    def has_keys(self) -> bool:
        return any(bundle.keys is not None for bundle in self._bundles)

    def keys(self) -> Iterable[Key | None]:
        """One for each request, in order."""
        for bundle in self._bundles:
            yield from bundle.keys or [None] * bundle.requests

    def records(self, source: str, topic: str) -> list[Records]:
        """In the order that ``Landed.polled`` counts in; ``topic`` is where those go that name none."""
        return [column.records(source, topic) for column in self._columns]

    def answers(self, landed: Sequence[Landed]) -> list[bytes]:
        """The body of each request's 202, in order."""
        found: dict[int, list[bytes]] = {}
        for polled, (numbers, column) in enumerate(zip(self._groups, self._columns, strict=True)):
            answers = iter(column.answers([place for place in landed if place.polled == polled]))
            for number in numbers:
                found[number] = list(islice(answers, self._bundles[number].requests))
        return [answer for number in range(len(self._bundles)) for answer in found[number]]


def _group(sent: Sent) -> _Group:
    """Text goes together; tables only where their columns are the same."""
    bundle, data = sent
    return bundle.topic, bundle.format, pa.ipc.open_stream(data).schema if bundle.is_table else None


def _pieces(bundles: Sequence[Sent]) -> pa.Array:
    """The values as they are: they were found to be UTF-8 before."""
    sizes = np.frombuffer(b"".join(bundle.sizes for bundle, _ in bundles), np.int64)
    data = bundles[0][1] if len(bundles) == 1 else b"".join(data for _, data in bundles)
    offsets = np.zeros(len(sizes) + 1, np.int32)
    offsets[1:] = sizes.cumsum()
    kind = pa.binary() if bundles[0][0].format == "bytes" else pa.string()
    return pa.Array.from_buffers(kind, len(sizes), [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def _table(bundles: Sequence[Sent]) -> pa.Array:
    table = pa.concat_tables([pa.ipc.open_stream(data).read_all() for _, data in bundles])
    return table.combine_chunks().to_batches()[0].to_struct_array()


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


def _headers_of(bundle: Bundle) -> Sequence[Headers]:
    return bundle.headers or [()] * bundle.requests


def _headers(requests: Sequence[Headers], counts: np.ndarray) -> pa.Array:
    """Each event of a request has the request's headers."""
    pairs = [pair for headers in requests for pair in headers]
    names, values = [name for name, _ in pairs], [value for _, value in pairs]
    each = pa.StructArray.from_arrays(
        [pa.array(names, pa.string()), pa.array(values, pa.binary())], fields=list(HEADERS.value_type)
    )
    offsets = np.zeros(len(requests) + 1, np.int32)
    np.cumsum([len(headers) for headers in requests], out=offsets[1:])
    lists = pa.ListArray.from_arrays(pa.array(offsets), each).cast(HEADERS)
    if (counts == 1).all():
        return lists
    return lists.take(pa.array(np.repeat(np.arange(len(requests)), counts)))
