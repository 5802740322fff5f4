"""The task of the ``http`` source: takes what the server has accepted, and tells it what the hub has on disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from ingest.connectors import EndOfInput, Polled, Position, SourceContext, SourceTask
from ingest.connectors.source import Landed
from ingest.sources.http.inbox import Inbox
from ingest.sources.http.key_store import Kept, KeyStore
from ingest.sources.http.listening import Listening
from ingest.sources.http.server import Answer, Server
from ingest.sources.http.settings import HttpSettings
from ingest.sources.http.step import Step

_WAIT_MS = 200


class HttpTask(SourceTask):
    """Positions are the idempotency keys; there is nothing to go back to, for what was not stored was not answered."""

    def __init__(self, settings: HttpSettings, listening: Listening) -> None:
        self._settings = settings
        self._listening = listening
        self._server: Server | None = None
        self._step: Step | None = None
        self._uncommitted: deque[list[Answer]] = deque()
        self._draining = False

    def open(self, context: SourceContext, positions: Mapping[str, Position]) -> None:
        self._context = context
        self._clock = context.environment.clock
        settings = self._settings
        self._keys = KeyStore(settings.idempotency.window, settings.idempotency.keys)
        kept = self._keys.restore(positions)
        if context.until_caught_up:
            return
        self._inbox = Inbox(self._clock, settings.limits.waiting)
        self._server = self._listening.open(context, self._inbox, kept)

    def poll(self) -> Polled | None:
        if self._context.until_caught_up:
            raise EndOfInput
        self._inbox.wait(_WAIT_MS)
        return self._next()

    def appended(self, landed: Sequence[Landed]) -> Mapping[str, Position | None]:
        assert self._step is not None
        answers = self._step.answers(landed)
        self._uncommitted.append(answers)
        now_ms = self._clock.now_ms()
        kept = [
            Kept(accepted.digest, accepted.fingerprint, now_ms, answer)
            for accepted, answer in answers
            if accepted.digest is not None
        ]
        return self._keys.add(kept, now_ms)

    def committed(self, positions: Mapping[str, Position | None]) -> None:
        assert self._server is not None
        while self._uncommitted:
            self._server.deliver(self._uncommitted.popleft())

    def drain(self) -> Polled | None:
        """Requests that came in whole are finished; the door is closed before."""
        if self._server is None:
            return None
        if not self._draining:
            self._draining = True
            self._server.refuse_new()
        return self._next()

    def close(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        if self._context.stopping.is_set():
            self._listening.end()
        else:
            server.detach()

    def _next(self) -> Polled | None:
        requests = self._inbox.take(self._context.max_batch_bytes)
        if not requests:
            return None
        self._step = Step(requests)
        stateless = all(accepted.digest is None for accepted in requests)
        return Polled(self._step.records(self._context.name), stateless=stateless)
