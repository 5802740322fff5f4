"""Which transactions a snapshot of PostgreSQL sees: see pg_current_snapshot in its manual."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_EPOCH = 1 << 32


@dataclass(frozen=True, slots=True)
class Seen:
    """All below ``least`` that have ended, all from ``next`` on not yet begun, ``running`` in between."""

    least: int
    next: int
    running: frozenset[int]

    @classmethod
    def of(cls, text: str) -> Seen:
        """``10:20:10,14,15``"""
        least, following, running = text.split(":")
        return cls(int(least), int(following), frozenset(int(each) for each in running.split(",") if each))

    def sees(self, xid: int) -> bool:
        """Of a transaction that has ended by now, by its number in the log: 32 bits, which wrap around."""
        whole = self.next - (self.next % _EPOCH) + xid
        if whole - self.next > _EPOCH // 2:
            whole -= _EPOCH
        elif self.next - whole > _EPOCH // 2:
            whole += _EPOCH
        return whole < self.next and whole not in self.running

    def sees_all(self, xids: Iterable[int]) -> bool:
        """Each of them."""
        return all(self.sees(xid) for xid in xids)
