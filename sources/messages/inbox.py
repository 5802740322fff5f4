"""What has come in and is not on disk yet: a queue bounded in bytes, which outlives the attempts of its task."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from ingest.sources.messages.arrival import Arrival

_PART_BYTES = 64 * 1024


class Inbox:
    """Filled by the thread of the sockets, emptied by the task's.

    Messages are counted over all runs; an arrival that was taken stays here until its number is committed, so a
    failed attempt loses nothing: the next one takes it again.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self.on_room: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._waiting: deque[Arrival] = deque()
        self._taken: deque[tuple[int, Arrival]] = deque()
        self._size_bytes = 0
        self._taken_bytes = 0
        self._full = False
        self._next: int | None = None
        self.arrived = threading.Event()
        """Set while something waits to be taken."""

    @property
    def size_bytes(self) -> int:
        """What waits to be taken, or to be committed."""
        return self._size_bytes

    @property
    def waiting_bytes(self) -> int:
        """What waits to be taken."""
        with self._lock:
            return self._size_bytes - self._taken_bytes

    @property
    def next(self) -> int:
        """The number of the next message to be taken."""
        assert self._next is not None, "resume comes first"
        return self._next

    def put(self, arrival: Arrival) -> bool:
        """Takes it in any case; returns whether there is room for more. ``on_room`` is called once there is again."""
        with self._lock:
            self._waiting.append(arrival)
            self._size_bytes += arrival.size_bytes
            self._full = self._full or self._size_bytes >= self._most_bytes
            self.arrived.set()
            return not self._full

    def take(self, most_bytes: int) -> Sequence[Arrival]:
        """The next arrivals, at most that many bytes (but at least one message)."""
        found: list[Arrival] = []
        size_bytes = 0
        with self._lock:
            while self._waiting:
                arrival = self._fitting(most_bytes)
                if found and size_bytes + arrival.size_bytes > most_bytes:
                    break
                self._waiting.popleft()
                size_bytes += arrival.size_bytes
                self._taken_bytes += arrival.size_bytes
                self._next = self.next + len(arrival)
                self._taken.append((self._next, arrival))
                found.append(arrival)
            if not self._waiting:
                self.arrived.clear()
        return found

    def committed(self, number: int) -> None:
        """All messages below ``number`` are on disk: their senders are told, and there is room again."""
        done: list[Arrival] = []
        with self._lock:
            while self._taken and self._taken[0][0] <= number:
                _, arrival = self._taken.popleft()
                self._size_bytes -= arrival.size_bytes
                self._taken_bytes -= arrival.size_bytes
                done.append(arrival)
            room = self._full and self._size_bytes <= self._most_bytes // 2
            if room:
                self._full = False
        for arrival in done:
            if arrival.receipt is not None:
                arrival.receipt()
        if room:
            self.on_room()

    def resume(self, number: int) -> None:
        """A new attempt begins, and the hub has all messages below ``number``: what is not is taken again."""
        if self._next is not None:
            self.committed(number)
        with self._lock:
            self._waiting.extendleft(arrival for _, arrival in reversed(self._taken))
            self._taken.clear()
            self._taken_bytes = 0
            self._next = number
            if self._waiting:
                self.arrived.set()

    def _fitting(self, most_bytes: int) -> Arrival:
        """The first arrival, cut to a size that fits a batch; its parts stand in its place."""
        arrival = self._waiting[0]
        parts = arrival.parts(min(most_bytes, max(_PART_BYTES, most_bytes // 2)))
        if len(parts) > 1:
            self._waiting.popleft()
            self._waiting.extendleft(reversed(parts))
            self._size_bytes += sum(part.size_bytes for part in parts) - arrival.size_bytes
        return parts[0]
