"""What was put and is not committed: offsets, dead letters, and since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ingest.connectors import DeadLetter, Delivery, TopicPartition, held_bytes
from ingest.errors import IdentityMismatch
from ingest.sinks.lake.manifest import Range


class Pending:
    """``offsets`` are the next offsets by the last commit, of all partitions."""

    def __init__(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._committed = dict(offsets)
        self._ranges: dict[TopicPartition, Range] = {}
        self.dead: list[DeadLetter] = []
        self.dead_bytes = 0
        """About what ``dead`` takes in memory, and then in the manifest."""
        self.since_ms: int | None = None
        self.left_out = 0
        """Records that were not written as they have no value."""

    def __bool__(self) -> bool:
        return bool(self._ranges or self.dead)

    def take(self, delivery: Delivery, now_ms: int) -> None:
        """Accounts for a delivery. One that repeats what was committed, or is pending, would write rows twice."""
        place = TopicPartition(delivery.topic, delivery.partition)
        pending = self._ranges.get(place)
        reached = pending.end if pending else self._committed.get(place, delivery.start)
        if delivery.start < reached:
            raise IdentityMismatch(
                f"{delivery.topic}-{delivery.partition}: offset {delivery.start} was delivered, and the target has "
                f"everything before {reached}",
                topic=delivery.topic,
                partition=delivery.partition,
                offset=delivery.start,
            )
        start, filtered = (pending.start, pending.filtered) if pending else (delivery.start, 0)
        self._ranges[place] = Range(*place, start, delivery.end, filtered + delivery.filtered)
        self.refuse(delivery.dead)
        if self.since_ms is None:
            self.since_ms = now_ms

    def leave_out(self, place: TopicPartition, rows: int) -> None:
        """Accounts for rows of the delivery taken last that have nothing to write in them."""
        pending = self._ranges[place]
        self._ranges[place] = replace(pending, filtered=pending.filtered + rows)
        self.left_out += rows

    def refuse(self, letters: Sequence[DeadLetter]) -> None:
        """Names records that will not be written."""
        self.dead += letters
        self.dead_bytes += held_bytes(letters)

    def ranges(self) -> tuple[Range, ...]:
        """What a commit accounts for now."""
        return tuple(self._ranges[place] for place in sorted(self._ranges))

    def offsets(self) -> dict[TopicPartition, int]:
        """The next offsets of all partitions after such a commit."""
        return self._committed | {place: self._ranges[place].end for place in sorted(self._ranges)}
