"""What the server has accepted and the task has not answered: bounded in bytes, wherever it is meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from ingest.sources.http.bundle import Bundle, Bundling
from ingest.sources.http.request import Accepted

Send = Callable[[Sequence[Bundle], Sequence[bytes | memoryview]], None]


class Outbox:
    """Used by the server's thread only. Answers come in the order in which requests were sent."""

    def __init__(self, send: Send, *, most_bytes: int, step_bytes: int) -> None:
        """``most_bytes`` may wait, and ``step_bytes`` go together."""
        self._send = send
        self._most_bytes = most_bytes
        self._step_bytes = step_bytes
        self._waiting_bytes = 0
        self._unsent: dict[tuple[str, str, bool], Bundling] = {}
        self._unsent_bytes = 0
        self._sent: deque[Accepted] = deque()

    def has_room(self, size: int) -> bool:
        """Something fits always when nothing else waits."""
        return not self._waiting_bytes or self._waiting_bytes + size <= self._most_bytes

    def put(self, accepted: Accepted) -> bool:
        """To be sent with what comes in until ``flush``; whether this is the first."""
        events, first = accepted.events, not self._unsent
        if not first and self._unsent_bytes + events.size > self._step_bytes:
            self.flush()
        self._waiting_bytes += events.size
        self._unsent_bytes += events.size
        key = (accepted.topic, events.format, events.is_table)
        bundling = self._unsent.get(key)
        if bundling is None:
            bundling = self._unsent[key] = Bundling(accepted.topic, events.format, is_table=events.is_table)
        bundling.add(accepted)
        return first

    def flush(self) -> None:
        """Sends what was put."""
        if not self._unsent:
            return
        ended = [bundling.end() for bundling in self._unsent.values()]
        for bundling in self._unsent.values():
            self._sent += bundling.requests
        self._unsent, self._unsent_bytes = {}, 0
        self._send([bundle for bundle, _ in ended], [data for _, data in ended])

    def answered(self, answers: Sequence[bytes]) -> Iterable[tuple[Accepted, bytes]]:
        """The requests that ``answers`` are for."""
        for answer in answers:
            accepted = self._sent.popleft()
            self._waiting_bytes -= accepted.events.size
            yield accepted, answer

    def given_up(self) -> list[Accepted]:
        """All that will not be answered any more."""
        unsent = [accepted for bundling in self._unsent.values() for accepted in bundling.requests]
        return [*self._sent, *unsent]
