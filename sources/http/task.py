"""The task of the ``http`` source: takes what the server has accepted, and tells it what the hub has on disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from ingest.connectors import EndOfInput, Polled, Position, SourceContext, SourceTask
from ingest.connectors.source import Landed
from ingest.sources.http.kept import Kept
from ingest.sources.http.key_store import KeyStore
from ingest.sources.http.listening import Listening
from ingest.sources.http.server_process import ServerProcess
from ingest.sources.http.settings import HttpSettings
from ingest.sources.http.step import Sent, Step

_WAIT_MS = 200


class HttpTask(SourceTask):
    """Positions are the idempotency keys; there is nothing to go back to, for what was not stored was not answered."""

    def __init__(self, settings: HttpSettings, listening: Listening) -> None:
        self._settings = settings
        self._listening = listening
        self._server: ServerProcess | None = None
        self._steps: deque[Step] = deque()
        self._uncommitted: deque[list[bytes]] = deque()
        self._draining = False

    def open(self, context: SourceContext, positions: Mapping[str, Position]) -> None:
        self._context = context
        self._clock = context.environment.clock
        settings = self._settings
        self._keys = KeyStore(settings.idempotency.window, settings.idempotency.keys)
        kept = self._keys.restore(positions)
        if context.until_caught_up:
            return
        self._server = self._listening.open(context, kept)

    def poll(self) -> Polled | None:
        if self._context.until_caught_up:
            raise EndOfInput
        assert self._server is not None
        return self._next(self._server.take(_WAIT_MS, self._context.max_batch_bytes))

    def appended(self, landed: Sequence[Landed]) -> Mapping[str, Position | None]:
        step = self._steps.popleft()  # the next one may have been polled already
        answers = step.answers(landed)
        self._uncommitted.append(answers)
        now_ms = self._clock.now_ms()
        kept = [Kept(*key, now_ms, answer) for key, answer in zip(step.keys(), answers, strict=True) if key is not None]
        return self._keys.add(kept, now_ms)

    def has_more(self) -> bool:
        return self._server is not None and self._server.has_more()

    def committed(self, positions: Mapping[str, Position | None]) -> None:
        assert self._server is not None
        while self._uncommitted:
            self._server.answer(self._uncommitted.popleft())

    def drain(self) -> Polled | None:
        """Requests that came in whole are finished; the door is closed before."""
        if self._server is None:
            return None
        if not self._draining:
            self._draining = True
            self._server.refuse_new()
        return self._next(self._server.take_last(self._context.max_batch_bytes))

    def close(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        if self._context.stopping.is_set():
            self._listening.end()
        else:
            server.detach()

    def _next(self, sent: Sequence[Sent]) -> Polled | None:
        if not sent:
            return None
        step = Step(sent)
        self._steps.append(step)
        return Polled(step.records(self._context.name, self._context.topic), stateless=not step.has_keys)
