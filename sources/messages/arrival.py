"""Messages that came in together, and many of these as one batch of records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from ingest.connectors import HEADERS, TIMESTAMP, DeadRecords, Origin, Records
from ingest.sources.messages.cut import Refused
from ingest.sources.messages.text import Undecodable, as_column

RECEIVED = "ingest.received"

_MESSAGE_OVERHEAD_BYTES = 48
"""About what Python takes for a bytes object beside its bytes."""


@dataclass(frozen=True)
class Arrival:
    """What one sender sent at one time. ``origin`` names the sender, as headers; ``receipt`` is called, in
    the thread of the task, once all of it is on disk in the hub."""

    messages: Sequence[bytes]
    arrived_ms: int
    origin: tuple[tuple[str, bytes], ...] = ()
    refused: Sequence[Refused] = ()
    receipt: Callable[[], None] | None = None

    def __len__(self) -> int:
        return len(self.messages) + len(self.refused)

    @cached_property
    def size_bytes(self) -> int:
        """Memory, about."""
        held = sum(map(len, self.messages)) + sum(len(each.data) for each in self.refused)
        return held + _MESSAGE_OVERHEAD_BYTES * len(self)

    def parts(self, most_bytes: int) -> list[Arrival]:
        """The same in pieces of at most that size where messages allow it; the receipt goes with the last."""
        if self.size_bytes <= most_bytes or len(self) < 2:
            return [self]
        half = len(self.messages) // 2
        if not half:
            first = Arrival(self.messages, self.arrived_ms, self.origin, self.refused[: len(self.refused) // 2])
            last = Arrival((), self.arrived_ms, self.origin, self.refused[len(self.refused) // 2 :], self.receipt)
        else:
            first = Arrival(self.messages[:half], self.arrived_ms, self.origin)
            last = Arrival(self.messages[half:], self.arrived_ms, self.origin, self.refused, self.receipt)
        return [*first.parts(most_bytes), *last.parts(most_bytes)]


@dataclass(frozen=True, slots=True)
class RecordMaker:
    """Makes records; those of one source carry the same header names."""

    source: str
    place: str
    """Where the messages were taken in: the origin of dead letters."""
    stream: str
    encoding: str = "utf-8"
    undecodable: Undecodable = "dead-letter"

    def make(self, arrivals: Sequence[Arrival], first: int) -> tuple[list[Records], list[DeadRecords]]:
        """``first`` is the number of the first message; they are counted over all runs."""
        messages = [message for arrival in arrivals for message in arrival.messages]
        counts = [len(arrival.messages) for arrival in arrivals]
        dead = self._refused(arrivals, first + len(messages))
        if not messages:
            return [], dead
        value, bad = as_column(messages, self.encoding, self.undecodable)
        records = self._records(value, arrivals, counts, first)
        if not bad:
            return [records], dead
        kept = np.ones(len(messages), dtype=bool)
        kept[bad] = False
        rows = pa.array(bad, pa.int64())
        raw = records.take(rows).with_value(pa.array([messages[row] for row in bad], pa.binary()))
        reason = f"not in the encoding {self.encoding}"
        return [records.filter(pa.array(kept))], [*dead, DeadRecords(raw, [reason] * len(bad), "read", "Undecodable")]

    def _refused(self, arrivals: Sequence[Arrival], first: int) -> list[DeadRecords]:
        found: dict[str, tuple[list[Arrival], list[Refused]]] = {}
        for arrival in arrivals:
            for refused in arrival.refused:
                senders, pieces = found.setdefault(refused.error, ([], []))
                senders.append(arrival)
                pieces.append(refused)
        dead = []
        for error, (senders, pieces) in found.items():
            value = pa.array([piece.data for piece in pieces], pa.binary())
            records = self._records(value, senders, [1] * len(senders), first)
            dead.append(DeadRecords(records, [piece.reason for piece in pieces], "read", error))
            first += len(pieces)
        return dead

    def _records(self, value: pa.Array, arrivals: Sequence[Arrival], counts: Sequence[int], first: int) -> Records:
        which = np.repeat(np.arange(len(arrivals)), counts)
        times = np.array([arrival.arrived_ms for arrival in arrivals], np.int64)
        numbers = np.arange(first, first + len(value), dtype=np.int64)
        return Records(
            value=value,
            timestamp=pa.array(times[which]).cast(TIMESTAMP),
            headers=_headers(arrivals, which),
            stream=self.stream,
            origin=Origin(self.source, self.place),
            positions=pa.array(numbers),
        )


def _headers(arrivals: Sequence[Arrival], which: np.ndarray) -> pa.Array:
    """Each record's sender and time of arrival, put together without a step for each record."""
    names = [*(name for name, _ in arrivals[0].origin), RECEIVED]
    each = [(*(text for _, text in arrival.origin), _iso(arrival.arrived_ms)) for arrival in arrivals]
    values = pa.array([text for texts in each for text in texts], pa.binary())
    width = len(names)
    places = (which[:, None] * width + np.arange(width)).ravel()
    keys = pa.array(names).take(pa.array(np.tile(np.arange(width), len(which))))
    entries = pa.StructArray.from_arrays([keys, values.take(pa.array(places))], fields=list(HEADERS.value_type))
    offsets = pa.array(np.arange(0, (len(which) + 1) * width, width, dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, entries, type=HEADERS)


def _iso(ms: int) -> bytes:
    return str(np.datetime64(ms, "ms")).encode() + b"Z"
