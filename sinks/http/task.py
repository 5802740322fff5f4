"""The task of the ``http`` sink."""

from __future__ import annotations

from ingest.connectors import Commit, DeadLetter, Delivery, SinkContext, SinkTask, TopicPartition
from ingest.errors import SystemUnavailable
from ingest.http_client.client import HttpClient
from ingest.sinks.http.pending import Batch, PendingRows
from ingest.sinks.http.posting import Posting
from ingest.sinks.http.settings import HttpSinkSettings
from ingest.sinks.json_rows import dead_letters, json_rows

_ANSWER_BYTES = 1 << 20


class HttpSinkTask(SinkTask):
    """A commit is what the receiver has taken since the last one. It remembers nothing for us, so after a crash the
    rows since then are posted again."""

    def __init__(self, settings: HttpSinkSettings) -> None:
        self._settings = settings
        self._client: HttpClient | None = None

    def open(self, context: SinkContext) -> None:
        settings = self._settings
        self._context = context
        self._clock = context.environment.clock
        ca = context.base_folder / settings.ca if settings.ca else None
        limits = {"timeout_ms": settings.timeout, "most_bytes": _ANSWER_BYTES}
        self._client = HttpClient(settings.url, self._clock, ca=ca, **limits)
        self._posting = Posting(settings, self._client, context)
        self._pending: dict[TopicPartition, PendingRows] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._number = 0
        self._since_ms: int | None = None

    def put(self, delivery: Delivery) -> None:
        place = TopicPartition(delivery.topic, delivery.partition)
        pending = self._pending.setdefault(place, PendingRows(place))
        for records in delivery.records:
            written, refused = json_rows(records, origin=self._settings.origin)
            pending.add(written)
            for rejected in refused:
                pending.dead += dead_letters(
                    records, rejected, sink=self._context.name, tolerate=self._context.tolerate
                )
        pending.dead += delivery.dead
        pending.end = delivery.end
        if self._since_ms is None:
            self._since_ms = self._clock.monotonic_ms()

    def flush(self, force: bool = False) -> Commit | None:
        force = force or self._is_overdue()
        posted: list[Batch] = []
        dead: list[DeadLetter] = []
        for pending in self._pending.values():
            batch = self._settings.batch
            batches = pending.cut(batch.rows, batch.bytes, force=force)
            try:
                self._post(batches, posted, dead)
            except Exception:
                pending.put_back(batches)
                if posted:
                    break  # first what was taken; the next flush meets the trouble again
                raise
        return self._commit(posted, dead) if posted or force else None

    def next_flush_ms(self) -> int | None:
        if self._since_ms is None or self._context.bounded:
            return None
        return max(0, self._settings.batch.interval - (self._clock.monotonic_ms() - self._since_ms))

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _is_overdue(self) -> bool:
        return self.next_flush_ms() == 0

    def _post(self, batches: list[Batch], posted: list[Batch], dead: list[DeadLetter]) -> None:
        """Takes each batch out of the list when it is done; stops between two when the pipeline is to stop."""
        while batches:
            if posted and self._context.stopping.is_set():
                raise SystemUnavailable("the pipeline is to stop, and rows are left")
            letters = list(self._posting.post(batches[0]))
            dead += letters
            posted.append(batches.pop(0))

    def _has_moved(self) -> bool:
        return any(self._committed.get(place) != pending.done() for place, pending in self._pending.items())

    def _commit(self, posted: list[Batch], dead: list[DeadLetter]) -> Commit | None:
        """All that is done by now, if anything is new."""
        if not self._has_moved():
            return None
        for place, pending in self._pending.items():
            self._committed[place] = pending.done()
            dead += pending.take_dead()
        waiting = any(pending.rows or pending.dead for pending in self._pending.values())
        self._since_ms = self._clock.monotonic_ms() if waiting else None
        self._number += 1
        refused = sum(letter.error == "RefusedByReceiver" for letter in dead)
        return Commit(
            self._number,
            dict(self._committed),
            tuple(dead),
            rows=sum(map(len, posted)) - refused,
            size_bytes=sum(batch.lines.nbytes for batch in posted),
        )
