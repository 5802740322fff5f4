"""One batch, posted until the receiver has taken it, or refused rows of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Final
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from ingest.connectors import DeadLetter, SinkContext
from ingest.errors import ConnectorError, RecordRefused, SystemUnavailable
from ingest.http_client.client import Answer, HttpClient, Request, place_of
from ingest.http_client.retry_after import retry_after_ms
from ingest.sinks.http.pending import Batch
from ingest.sinks.http.settings import HttpSinkSettings
from ingest.sinks.http.signing import signed

REFUSED = "RefusedByReceiver"

_PASSING: Final = (408, 409, 425, 429)
"""Client errors that pass: too slow, still at the last attempt (a repeated key), too early, too often."""

_LOOK_MS = 200
_GRACE_MS = 3_000
"""How long an answer is waited for after the pipeline was asked to stop."""
_FIRST_PAUSE_MS = 500
_LONGEST_PAUSE_MS = 30_000
_TYPES = {"ndjson": "application/x-ndjson", "json": "application/json"}


class Posting:
    """Sends batches one after the other: rows of a partition arrive in their order."""

    def __init__(self, settings: HttpSinkSettings, client: HttpClient, context: SinkContext) -> None:
        self._settings = settings
        self._client = client
        self._context = context
        self._clock = context.environment.clock
        self._dice = context.environment.random

    def post(self, batch: Batch) -> Iterator[DeadLetter]:
        """Returns when every row is taken, or is one of the letters. Raises ``SystemUnavailable`` where it may be
        tried again later: some of the rows may have been taken, under keys that the next attempt repeats."""
        answer = self._answered(batch)
        if 200 <= answer.status < 300:
            return
        said = f"the receiver answers {answer.status}: {answer.excerpt!r}"
        if answer.status not in self._settings.refusals:
            self._stop(batch, answer, said)
        if not self._context.tolerate:
            raise RecordRefused(
                f"{batch.place.topic}-{batch.place.partition} from offset {batch.offsets[0]}: {said}",
                hint="set errors.tolerance to dead-letter to keep such records apart and go on",
                sink=self._context.name,
            )
        if len(batch) == 1:
            yield batch.letter(REFUSED, said)
            return
        for half in batch.halves():
            yield from self.post(half)

    def _answered(self, batch: Batch) -> Answer:
        """The answer that is not to be waited out; raises ``SystemUnavailable`` after the last attempt."""
        body = body_of(batch, self._settings.format)
        for attempt in range(1, self._settings.attempts + 1):
            pause_ms = min(_FIRST_PAUSE_MS * 2 ** (attempt - 1), _LONGEST_PAUSE_MS) * self._dice.uniform(0.5, 1)
            try:
                answer = self._sent(self._client.begin(self._request(batch, body)))
            except SystemUnavailable as failed:
                failure = failed
            else:
                if answer.status < 500 and answer.status not in _PASSING:
                    return answer
                failure = SystemUnavailable(f"{self._described(batch)} answers {answer.status}: {answer.excerpt!r}")
                told_ms = retry_after_ms(answer.headers.get("retry-after"), self._clock.now_ms())
                pause_ms = pause_ms if told_ms is None else told_ms
            if attempt == self._settings.attempts or pause_ms > self._settings.max_wait:
                raise failure
            if self._clock.wait(self._context.stopping, int(pause_ms)):
                raise failure
        raise AssertionError("the last attempt returns or raises")

    def _sent(self, asked: Future[Answer]) -> Answer:
        """Waits for the answer, but not for long once the pipeline is to stop."""
        stop_by_ms: int | None = None
        while (answer := self._client.answer(asked, _LOOK_MS)) is None:
            now_ms = self._clock.monotonic_ms()
            if self._context.stopping.is_set() and stop_by_ms is None:
                stop_by_ms = now_ms + _GRACE_MS
            if stop_by_ms is not None and now_ms > stop_by_ms:
                raise SystemUnavailable("the receiver does not answer, and the pipeline is to stop")
        return answer

    def _request(self, batch: Batch, body: bytes) -> Request:
        settings, place = self._settings, batch.place
        key = key_of(batch, self._context)
        first, last = (f"{batch.offsets[at]}" for at in (0, -1))
        headers = {
            "Content-Type": _TYPES[settings.format],
            **settings.headers,
            **settings.auth.headers(),
            "Idempotency-Key": key,
            "Ingest-Topic": quote(place.topic, safe=""),
            "Ingest-Partition": str(place.partition),
            "Ingest-Offsets": f"{first}-{last}",
        }
        if settings.sign is not None:
            headers |= signed(settings.sign.keys, key, self._clock.now_ms() // 1000, body)
        return Request(settings.method, settings.auth.url(self._url(batch)), headers, body)

    def _stop(self, batch: Batch, answer: Answer, said: str) -> None:
        if 300 <= answer.status < 400:
            to = place_of(answer.headers.get("location", ""))
            raise ConnectorError(f"{self._described(batch)}: {said}", hint=f"use the URL that it points to: {to}")
        hint = "see `auth`" if answer.status in (401, 403) else "if this means that rows are bad, add it to `refusals`"
        raise ConnectorError(f"{self._described(batch)}: {said}", hint=hint, status=answer.status)

    def _url(self, batch: Batch) -> str:
        return self._settings.url.replace("{topic}", quote(batch.place.topic, safe=""))

    def _described(self, batch: Batch) -> str:
        return place_of(self._url(batch))


def key_of(batch: Batch, context: SinkContext) -> str:
    """Names exactly these rows, for this sink: the same at each attempt, in each run."""
    place = batch.place
    rows = [f"{batch.offsets[at]}.{batch.inside[at]}" for at in (0, -1)]
    topic = context.topic_ids.get(place.topic, place.topic)
    named = [context.hub_id, context.pipeline, context.name, topic, str(place.partition), *rows]
    return "ingest_" + hashlib.sha256("\n".join(named).encode()).hexdigest()[:40]


def body_of(batch: Batch, written: str) -> bytes:
    """All rows in one piece, without a step for each."""
    separator = b"," if written == "json" else b"\n"
    whole = pa.LargeListArray.from_arrays([0, len(batch)], batch.lines)
    joined: bytes = pc.binary_join(whole, pa.scalar(separator, pa.large_binary()))[0].as_py()
    return b"[" + joined + b"]" if written == "json" else joined + b"\n"
