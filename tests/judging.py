"""Change capture held against Debezium's, record for record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from debezium import Event

Told = tuple[Any, ...]
"""(key, None) of a tombstone, else (key, op, before, after, where it comes from...). Rows are without their nulls: of a
topic that tables share, the reader gives each record the columns of all."""

Meaning = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Judgement:
    """``meant`` gives the value that Debezium's text of a column means; ``place`` names what must agree of ``source``
    where a change comes from the log."""

    meant: Mapping[str, Meaning]
    place: Sequence[str]

    def theirs(self, events: Iterable[Event], *topics: str) -> list[Told]:
        """What Debezium tells in these topics, in its order; but no tombstones without a key, which bury nothing."""
        told = [self._told_by_debezium(event) for event in events if event.topic in topics]
        return [each for each in told if each != (None, None)]

    def ours(self, client: Any, topic: str) -> list[Told]:
        """What the hub has in a topic of one partition, in its order."""
        with client.consumer(topic) as consumer:
            rows: list[Any] = []
            while found := consumer.rows():
                rows += found
        return [self._told_by_us(row) for row in rows]

    def _told_by_debezium(self, event: Event) -> Told:
        key = None if event.key is None else self._typed(event.key)
        if event.value is None:
            return key, None
        before, after = (self._typed(event.value[side]) for side in ("before", "after"))
        op, source = event.value["op"], event.value["source"]
        if op == "t" and "row" in source:
            source = {**source, "row": 0}  # it has the number of the change before, which is of another statement
        return key, op, before, after, *self._place_of(source)

    def _told_by_us(self, row: Any) -> Told:
        key = None if row.key is None else json.loads(row.key)
        if row.value is None:
            return key, None
        value = row.value
        before, after = (_without_nulls(value[side]) for side in ("before", "after"))
        return key, value["op"], before, after, *self._place_of(value["source"])

    def _place_of(self, source: Mapping[str, Any]) -> Told:
        """Whether the snapshot read it; else what ``place`` names."""
        if source["snapshot"] != "false":
            return (True,)
        return False, *(source[name] for name in self.place)

    def _typed(self, row: Mapping[str, Any] | None) -> dict[str, Any] | None:
        there = _without_nulls(row)
        if there is None:
            return None
        return {name: self.meant[name](value) if name in self.meant else value for name, value in there.items()}


def agree(ours: Sequence[Told], theirs: Sequence[Told]) -> None:
    """Asserts that both tell the same: the same rows of the snapshot, which several connections read in no order, and
    then the same changes in the same order."""
    _same(_rows(ours), _rows(theirs))
    _same(_changes(ours), _changes(theirs))


def _without_nulls(row: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if row is None else {name: value for name, value in row.items() if value is not None}


def _same(ours: Sequence[Told], theirs: Sequence[Told]) -> None:
    for number, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        assert one == other, f"record {number} of {len(ours)}: {_difference(one, other)}"
    assert len(ours) == len(theirs)


def _difference(ours: Told, theirs: Told) -> str:
    """Only what differs, for people."""
    found: list[str] = []
    for one, other in zip(ours, theirs, strict=False):
        if isinstance(one, dict) and isinstance(other, dict):
            names = {**one, **other}
            found += [
                f"{name}: {one.get(name)!r:.200} is not {other.get(name)!r:.200}"
                for name in names
                if one.get(name) != other.get(name)
            ]
        elif one != other:
            found.append(f"{one!r:.200} is not {other!r:.200}")
    return "; ".join(found)


def _rows(told: Sequence[Told]) -> list[Told]:
    return sorted((each for each in told if each[1] == "r"), key=repr)


def _changes(told: Sequence[Told]) -> list[Told]:
    return [each for each in told if each[1] != "r"]
