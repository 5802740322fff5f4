"""The task of the ``http_poll`` source: ask, take what is new, wait."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import Future

from ingest.connectors import EndOfInput, Origin, Polled, Position, Records, SourceContext, SourceTask
from ingest.errors import ConnectorError, SystemUnavailable
from ingest.http_client.client import Answer, HttpClient, Request, place_of
from ingest.http_client.retry_after import BUSY, retry_after_ms
from ingest.sources.http_poll.json_records import NotThere
from ingest.sources.http_poll.page import Step, steps
from ingest.sources.http_poll.place import url_of
from ingest.sources.http_poll.position import PollPosition
from ingest.sources.http_poll.settings import HttpPollSettings

STREAM = "api"
_WAIT_MS = 500
_BUSY_MS = 1_000
_MOST_BUSY_MS = 60_000
_MOST_BUSY = 10
_NOT_CHANGED = 304


class HttpPollTask(SourceTask):
    """A round asks page after page; each page is committed with the place of the next one."""

    def __init__(self, settings: HttpPollSettings) -> None:
        self._settings = settings
        self._client: HttpClient | None = None

    def open(self, context: SourceContext, positions: Mapping[str, Position]) -> None:
        settings = self._settings
        self._context = context
        self._clock = context.environment.clock
        stored = positions.get(STREAM)
        start = PollPosition(since=settings.since.start if settings.since else None)
        self._position = PollPosition.from_json(stored) if stored is not None else start
        ca = context.base_folder / settings.ca if settings.ca else None
        limits = {"timeout_ms": settings.timeout, "most_bytes": settings.max_body}
        self._client = HttpClient(settings.url, self._clock, ca=ca, **limits)
        self._asked: Future[Answer] | None = None
        self._steps: Iterator[Step] = iter(())
        self._due_ms = self._clock.monotonic_ms()
        self._visited: set[str] = set()
        self._busy = 0
        self._round_is_over = False

    def poll(self) -> Polled | None:
        step = next(self._steps, None)
        if step is not None:
            return self._polled(step)
        if self._asked is not None:
            return self._answered(self._asked)
        if self._round_is_over and self._context.until_caught_up:
            raise EndOfInput
        left_ms = self._due_ms - self._clock.monotonic_ms()
        if left_ms > 0:
            self._context.wait(min(left_ms, _WAIT_MS))
            return None
        self._ask()
        return None

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    # -- asking

    def _ask(self) -> None:
        settings, position = self._settings, self._position
        assert self._client is not None, "the task is not open"
        self._round_is_over = False
        self._visit()
        url = url_of(settings, position.place, position.since)
        headers = {"Accept": "application/json", **settings.headers, **settings.auth.headers()}
        if position.etag:
            headers["If-None-Match"] = position.etag
        if position.modified:
            headers["If-Modified-Since"] = position.modified
        body = settings.body.encode() if settings.body is not None else None
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        self._asked = self._client.begin(Request(settings.method, settings.auth.url(url), headers, body))

    def _visit(self) -> None:
        """Raises ``ConnectorError`` where a round comes to a page again, which has no end."""
        here = json.dumps([self._position.place, self._position.taken])
        if here in self._visited and not self._busy:
            raise ConnectorError(
                f"the pages go in a circle: {self._described()} comes again",
                hint="the API does not page as `pages` says",
            )
        self._visited.add(here)

    def _answered(self, asked: Future[Answer]) -> Polled | None:
        assert self._client is not None, "the task is not open"
        answer = self._client.answer(asked, _WAIT_MS)
        if answer is None:
            return None
        self._asked = None
        if answer.status in BUSY:
            self._leave_alone(answer)
            return None
        self._busy = 0
        if answer.status == _NOT_CHANGED:
            self._end_round()
            return None
        self._check(answer)
        self._steps = self._taken(answer)
        return self._polled(next(self._steps))

    def _taken(self, answer: Answer) -> Iterator[Step]:
        try:
            yield from steps(self._settings, self._position, answer, self._context.max_batch_bytes)
        except NotThere as error:
            raise ConnectorError(
                f"{self._described()}: {error}", hint="set `records` to where the list stands"
            ) from None

    def _leave_alone(self, answer: Answer) -> None:
        """The server is busy: it is asked again when it says, or after a pause that doubles."""
        self._busy += 1
        told_ms = retry_after_ms(answer.headers.get("retry-after"), self._clock.now_ms())
        pause_ms = min(_BUSY_MS * 2 ** (self._busy - 1), _MOST_BUSY_MS) if told_ms is None else told_ms
        if pause_ms > self._settings.max_wait or self._busy >= _MOST_BUSY:
            raise SystemUnavailable(f"{self._described()}: busy ({answer.status}) for {pause_ms / 1000:.0f} s or more")
        self._context.report(f"{self._described()} is busy ({answer.status}); asked again in {pause_ms / 1000:.0f} s")
        self._due_ms = self._clock.monotonic_ms() + pause_ms

    def _check(self, answer: Answer) -> None:
        """Raises what an answer that brings no records means."""
        status = answer.status
        if 200 <= status < 300:
            return
        said = f"{self._described()} answers {status}: {answer.excerpt!r}"
        if status >= 500 or status == 408:
            raise SystemUnavailable(said)
        if 300 <= status < 400:
            raise ConnectorError(said, hint=f"use the URL it points to: {place_of(answer.headers.get('location', ''))}")
        hints = {401: "see `auth`", 403: "see `auth`"}
        reset = "if the place in the pages has expired: ingest positions reset" if self._position.place else None
        raise ConnectorError(said, hint=hints.get(status, reset), status=status)

    # -- taking

    def _polled(self, step: Step) -> Polled:
        self._position = step.position
        if step.is_last or len(self._visited) >= self._settings.max_pages:
            self._end_round()
        return Polled(self._records(step.texts), {STREAM: step.position.as_json()})

    def _records(self, texts: list[str]) -> list[Records]:
        import numpy as np
        import pyarrow as pa

        if not texts:
            return []
        last = self._position.records
        place = place_of(self._settings.url)
        return [
            Records(
                value=pa.array(texts, pa.string()),
                common_headers=(("ingest.url", place.encode()),),
                stream=STREAM,
                origin=Origin(self._context.name, place),
                positions=pa.array(np.arange(last - len(texts), last, dtype=np.int64)),
            )
        ]

    def _end_round(self) -> None:
        self._visited.clear()
        self._round_is_over = True
        self._due_ms = self._clock.monotonic_ms() + self._settings.every

    def _described(self) -> str:
        return place_of(self._settings.url)
