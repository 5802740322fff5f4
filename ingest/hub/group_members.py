"""The consumers of one group in this process, and how they share the partitions.

Sharing is cooperative: a partition that is to move is first let go by its old member, at that member's next
poll (or when it has not polled for ``max_poll_interval_ms``), and only then taken by the new one; so no
record is read by two members, and what was read before the move is committed.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from ingest.clock import Clock
from ingest.connectors import TopicPartition
from ingest.hub.contract import Hub

Partitions = set[TopicPartition]


@dataclass(slots=True, eq=False)
class Member:
    """``owned`` is what it may read now, ``target`` what it is to read. Guarded by the group's lock."""

    number: int
    wants: Callable[[], Partitions]
    max_poll_interval_ms: int
    last_poll_ms: int
    owned: Partitions = field(default_factory=set)
    target: Partitions = field(default_factory=set)
    expired: bool = False


class Group:
    """All members of one group on one hub. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._members: list[Member] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def join(self, wants: Callable[[], Partitions], max_poll_interval_ms: int) -> Member:
        """``wants`` names all partitions that the member's subscription covers now."""
        member = Member(next(self._numbers), wants, max_poll_interval_ms, self._clock.monotonic_ms())
        with self._lock:
            self._members.append(member)
        return member

    def leave(self, member: Member) -> None:
        """Its partitions go to the others, at their next poll."""
        with self._lock:
            if member in self._members:
                self._members.remove(member)
            member.owned, member.target = set(), set()

    def plan(self, member: Member) -> Partitions:
        """Called with each poll: what the member has to let go of, before it calls ``settle``.

        A member that was away for too long has lost everything, and starts again.
        """
        with self._lock:
            now_ms = self._clock.monotonic_ms()
            if member.expired:
                member.expired = False
                self._members.append(member)
            member.last_poll_ms = now_ms
            self._expire(now_ms)
            share_out({other: other.wants() for other in self._members})
            return member.owned - member.target

    def settle(self, member: Member) -> Partitions:
        """Lets go, and takes what is the member's and nobody else's any more; returns what it owns now."""
        with self._lock:
            taken = set().union(*(other.owned for other in self._members if other is not member))
            member.owned = member.target - taken
            return set(member.owned)

    def _expire(self, now_ms: int) -> None:
        for other in list(self._members):
            if now_ms - other.last_poll_ms > other.max_poll_interval_ms:
                self._members.remove(other)
                other.owned, other.target, other.expired = set(), set(), True


class Groups:
    """The groups of one hub in this process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._groups: dict[str, Group] = {}
        self._lock = threading.Lock()

    def named(self, name: str) -> Group:
        with self._lock:
            return self._groups.setdefault(name, Group(self._clock))


_GROUPS: weakref.WeakKeyDictionary[Hub, Groups] = weakref.WeakKeyDictionary()
_GROUPS_LOCK = threading.Lock()


def groups_of(hub: Hub, clock: Clock) -> Groups:
    """Shared by all clients of a hub in this process."""
    with _GROUPS_LOCK:
        return _GROUPS.setdefault(hub, Groups(clock))


def share_out(wanted: Mapping[Member, Collection[TopicPartition]]) -> None:
    """Sets the targets: shares differ by one at most where subscriptions allow it, and what can stay, stays."""
    members = sorted(wanted, key=lambda member: member.number)
    targets: dict[Member, Partitions] = {member: set() for member in members}
    for partition in sorted({partition for found in wanted.values() for partition in found}):
        able = [member for member in members if partition in wanted[member]]
        targets[_keeper(partition, able, targets)].add(partition)
    while _move_one(members, targets, wanted):
        continue
    for member in members:
        member.target = targets[member]


def _keeper(partition: TopicPartition, able: list[Member], targets: Mapping[Member, Partitions]) -> Member:
    for member in able:
        if partition in member.target:
            return member
    return min(able, key=lambda member: len(targets[member]))


def _move_one(
    members: list[Member],
    targets: dict[Member, Partitions],
    wanted: Mapping[Member, Collection[TopicPartition]],
) -> bool:
    """Moves one partition to a member that has at least two fewer."""
    for giver in sorted(members, key=lambda member: -len(targets[member])):
        for taker in sorted(members, key=lambda member: len(targets[member])):
            if len(targets[giver]) - len(targets[taker]) < 2:
                break
            movable = sorted(partition for partition in targets[giver] if partition in wanted[taker])
            if movable:
                targets[giver].discard(movable[-1])
                targets[taker].add(movable[-1])
                return True
    return False
