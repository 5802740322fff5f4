"""Sending from a program: one record at a time or columns, in batches, with futures and transactions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace

from ingest.connectors import Records
from ingest.environment import Environment
from ingest.errors import Closed, FormatError, TransactionInvalid, UsageError
from ingest.hub.contract import Appended, Hub, Writer
from ingest.hub.partitioner import Choose, Partitioner
from ingest.hub.pending import Delivered, Headers, PendingBatch, Row, Value
from ingest.hub.producer_transaction import ProducerTransaction
from ingest.hub.send_buffer import SendBuffer
from ingest.hub.values import Values

_FOREVER_MS = 3_600_000


class Producer:
    """Made by ``Client.producer``. Thread-safe, but for transactions, which belong to one thread.

    A batch is sent when it has ``batch_bytes``, or when its first record has waited ``linger_ms``. A sender
    waits while ``buffer_bytes`` are on their way: a slow disk slows programs down, it never fills memory.
    """

    def __init__(
        self,
        hub: Hub,
        env: Environment,
        values: Values,
        *,
        topic: str | None = None,
        name: str | None = None,
        partitioner: Choose | None = None,
        linger_ms: int = 5,
        batch_bytes: int = 512 * 1024,
        buffer_bytes: int = 32 * 1024 * 1024,
    ) -> None:
        self._hub = hub
        self._clock = env.clock
        self._values = values
        self._topic = topic
        self._name = name
        self._partitioner = Partitioner(partitioner)
        self._linger_ms = linger_ms
        self._batch_bytes = batch_bytes
        self._buffer = SendBuffer(env.clock, buffer_bytes)
        self._writer: Writer | None = None
        self._batches: dict[tuple[str, int], PendingBatch] = {}
        self._full: list[PendingBatch] = []
        self._in_flight: set[Future[Appended]] = set()
        self._lock = threading.Lock()
        self._sending = threading.Lock()  # keeps the order of batches; taken before _lock
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="ingest-producer", daemon=True)
        self._thread.start()

    def send(
        self,
        value: Value,
        *,
        topic: str | None = None,
        key: bytes | str | None = None,
        headers: Headers = (),
        timestamp_ms: int | None = None,
        partition: int | None = None,
    ) -> Future[Delivered]:
        """Takes one record: bytes or text, or a dictionary for a topic with a format for columns; None is a
        tombstone. The future is done when the record is on disk. Blocks while the buffer is full.

        Raises ``TopicMissing`` and ``Closed`` at once; what the record itself is to blame for comes by the future.
        """
        name = self._topic_of(topic)
        row = Row.of(value, key, headers, timestamp_ms)
        partitions = self._hub.topic(name).partitions
        self._take(row.size_bytes)
        with self._lock:
            if partition is None:
                partition = self._partitioner.partition(name, row.key, partitions)
            batch = self._batches.get((name, partition))
            if batch is None:
                batch = self._batches[name, partition] = PendingBatch(name, partition, self._clock.monotonic_ms())
                self._wake.set()
            future = batch.add(row)
            if batch.size_bytes >= self._batch_bytes:
                self._full.append(self._batches.pop((name, partition)))
                self._partitioner.turn(name)
                self._wake.set()
        return future

    def send_columns(self, records: Records, *, partition: int | None = None) -> list[Future[Appended]]:
        """Sends whole columns at once, behind what was sent before: one future per partition.

        Raises ``FormatError`` if the topic's format refuses a row: then nothing was sent.
        """
        encoded = self._encode(replace(records, topic=self._topic_of(records.topic or None)))
        self._take(0)
        with self._sending:
            self._send_all()
            if partition is not None:
                return [self._append(encoded, partition, encoded.nbytes)]
            partitions = self._hub.topic(encoded.topic).partitions
            return [
                self._append(part, chosen, part.nbytes)
                for chosen, rows in self._partitioner.split(encoded, partitions)
                for part in [encoded if rows is None else encoded.take(rows)]
            ]

    def flush(self) -> None:
        """Returns when everything sent so far is on disk or has failed; failures are in the futures."""
        with self._sending:
            self._send_all()
        with self._lock:
            waiting = list(self._in_flight)
        for future in waiting:
            future.exception()

    @contextmanager
    def transaction(self) -> Iterator[ProducerTransaction]:
        """All that is sent inside becomes visible together at the end of the block, or never if it raises.

        Needs a ``name``: a newer producer of the same name fences this one, which then gets ``Fenced``.
        """
        if self._name is None:
            raise TransactionInvalid("a producer needs a name for transactions", hint='for example name="orders"')
        if self._writer is None:
            self._writer = self._hub.register_writer(self._name)
        inner = self._hub.transaction(self._writer)
        begun = ProducerTransaction(
            self._hub, inner, self._encode, self._partitioner, self._topic_of, self._batch_bytes
        )
        try:
            yield begun
            begun.send_rest()
        except BaseException:
            inner.abort()
            raise
        inner.commit().result()

    def close(self) -> None:
        """Sends what waits, and returns when it is on disk or has failed. Idempotent."""
        self._closed = True
        self._wake.set()
        self._buffer.close()
        self._thread.join()
        self.flush()

    def __enter__(self) -> Producer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        while not self._closed:
            self._clock.wait(self._wake, self._next_due_ms())
            self._wake.clear()
            with self._sending:
                self._send_due()

    def _next_due_ms(self) -> int:
        with self._lock:
            oldest = min((batch.since_ms for batch in self._batches.values()), default=None)
        return _FOREVER_MS if oldest is None else max(0, oldest + self._linger_ms - self._clock.monotonic_ms())

    def _send_due(self) -> None:
        # A full buffer waits for nothing: its senders do.
        latest = self._clock.monotonic_ms() - (0 if self._buffer.is_full else self._linger_ms)
        with self._lock:
            due = [place for place, batch in self._batches.items() if batch.since_ms <= latest]
            ready = [*self._full, *(self._batches.pop(place) for place in due)]
            self._full = []
        for batch in ready:
            self._send(batch)

    def _send_all(self) -> None:
        with self._lock:
            ready = [*self._full, *self._batches.values()]
            self._full = []
            self._batches.clear()
        for batch in ready:
            self._send(batch)

    def _send(self, batch: PendingBatch) -> None:
        try:
            encoded = self._values.encode(batch.records())
            batch.refuse(encoded.rejected)
            if not batch.futures:
                self._buffer.give(batch.size_bytes)
                return
            stored = self._append(encoded.records, batch.partition, batch.size_bytes, taken=True)
        except BaseException as error:  # whatever it is, the senders wait for an answer
            batch.fail(error)
            self._buffer.give(batch.size_bytes)
            if not isinstance(error, Exception):
                raise
            return
        stored.add_done_callback(lambda done: _tell(batch, done))

    def _append(self, records: Records, partition: int, size_bytes: int, *, taken: bool = False) -> Future[Appended]:
        stored = self._hub.append(records, partition)
        if not taken:
            self._buffer.take(size_bytes)
        with self._lock:
            self._in_flight.add(stored)
        stored.add_done_callback(lambda done: self._landed(done, size_bytes))
        return stored

    def _landed(self, stored: Future[Appended], size_bytes: int) -> None:
        with self._lock:
            self._in_flight.discard(stored)
        self._buffer.give(size_bytes)

    def _encode(self, records: Records) -> Records:
        encoded = self._values.encode(records)
        for rejected in encoded.rejected:
            if len(rejected.rows):
                row = rejected.rows[0].as_py()
                raise FormatError(f"row {row} does not fit {records.topic}: {rejected.reasons[0]}", row=row)
        return encoded.records

    def _take(self, size_bytes: int) -> None:
        if self._buffer.is_full:
            self._wake.set()
        self._buffer.take(size_bytes)
        if self._closed:
            self._buffer.give(size_bytes)
            raise Closed("the producer is closed")

    def _topic_of(self, topic: str | None) -> str:
        name = topic or self._topic
        if name is None:
            raise UsageError("no topic: name one in the call, or for the producer")
        return name


def _tell(batch: PendingBatch, stored: Future[Appended]) -> None:
    error = stored.exception()
    if error is not None:
        batch.fail(error)
    else:
        batch.deliver(stored.result().base_offset, stored.result().count)
