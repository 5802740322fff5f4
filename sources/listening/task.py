"""The task of every source that listens: empties the inbox into the hub, and has senders told what is on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ingest.connectors import EndOfInput, Polled, Position, SourceContext, SourceTask
from ingest.sources.listening.reception import Reception
from ingest.sources.listening.settings import ListenSettings
from ingest.sources.messages.arrival import Arrival, RecordMaker

VERSION = 1
_WAIT_MS = 200
_QUIET_MS = 150
_FAREWELL_MS = 1_000


class ListeningTask(SourceTask):
    """Its position is the number of messages that were taken in so far; senders cannot be asked for more.

    With ``until_caught_up`` it does not listen: nobody knows when senders have said everything.
    """

    def __init__(self, kind: str, settings: ListenSettings, reception: Reception) -> None:
        self._kind = kind
        self._settings = settings
        self._reception = reception
        self._context: SourceContext | None = None
        self._leaving_ms: int | None = None

    def open(self, context: SourceContext, positions: Mapping[str, Position]) -> None:
        self._context = context
        self._stopping = context.stopping
        self._clock = context.environment.clock
        if context.until_caught_up:
            return
        self._reception.open(context)
        position = positions.get(self._kind)
        self._reception.inbox.resume(int(position["messages"]) if position else 0)
        self._maker = RecordMaker(
            context.name,
            f"{self._kind}://{self._reception.address}",
            self._kind,
            self._settings.encoding,
            self._settings.undecodable,
        )

    def poll(self) -> Polled | None:
        if self._opened.until_caught_up:
            raise EndOfInput
        self._clock.wait(self._reception.inbox.arrived, _WAIT_MS)
        return self._take()

    def drain(self) -> Polled | None:
        """What senders had sent when the run was stopped, as far as it comes within a second."""
        if self._opened.until_caught_up:
            return None
        now_ms = self._clock.monotonic_ms()
        if self._leaving_ms is None:
            self._leaving_ms = now_ms
            self._reception.farewell()
        if now_ms - self._leaving_ms < _FAREWELL_MS:
            self._clock.wait(self._reception.inbox.arrived, _QUIET_MS)
        else:
            self._reception.pause()
        return self._take()

    def committed(self, positions: Mapping[str, Position | None]) -> None:
        position = positions.get(self._kind)
        if position is not None:
            self._reception.inbox.committed(int(position["messages"]))

    def lag(self) -> Mapping[str, int] | None:
        return {"bytes": self._reception.inbox.size_bytes}

    def close(self) -> None:
        """After a failure the sockets stay open, for the next attempt: what has come in is kept for it."""
        if self._context is not None and self._stopping.is_set():
            self._reception.close()

    @property
    def _opened(self) -> SourceContext:
        assert self._context is not None, "the task is not open"
        return self._context

    def _take(self) -> Polled | None:
        inbox = self._reception.inbox
        first = inbox.next
        arrivals: Sequence[Arrival] = inbox.take(self._opened.max_batch_bytes)
        if not arrivals:
            return None
        records, dead = self._maker.make(arrivals, first)
        return Polled(records, {self._kind: {"version": VERSION, "messages": inbox.next}}, dead)
