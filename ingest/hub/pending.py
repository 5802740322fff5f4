"""Records of a program on their way into one partition: collected as rows, sent as columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa

from ingest.connectors import HEADERS, TIMESTAMP, Records, Rejected
from ingest.errors import FormatError

Value = bytes | str | Mapping[str, Any] | None
Headers = Iterable[tuple[str, bytes | None]] | Mapping[str, bytes | None]
_RECORD_BYTES = 64


class Delivered(NamedTuple):
    """Where a record stands. With the format ``arrow``, whose records hold many rows, ``offset`` is that of
    the first record of its batch."""

    topic: str
    partition: int
    offset: int


class Row(NamedTuple):
    """One record as its sender gave it, and about how much memory it takes."""

    value: Value
    key: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp_ms: int | None
    size_bytes: int

    @classmethod
    def of(cls, value: Value, key: bytes | str | None, headers: Headers, timestamp_ms: int | None) -> Row:
        size = _RECORD_BYTES + len(value if isinstance(value, (bytes, str)) else str(value or ""))
        if isinstance(key, str):
            key = key.encode()
        if key is not None:
            size += len(key)
        pairs: Sequence[tuple[str, bytes | None]] = ()
        if headers:
            pairs = tuple(headers.items() if isinstance(headers, Mapping) else headers)
            size += sum(len(name) + len(content or b"") for name, content in pairs)
        return cls(value, key, pairs, timestamp_ms, size)


@dataclass(slots=True)
class PendingBatch:
    """Rows for one partition; ``since_ms`` is when the first came."""

    topic: str
    partition: int
    since_ms: int
    rows: list[Row] = field(default_factory=list)
    futures: list[Future[Delivered]] = field(default_factory=list)
    size_bytes: int = 0

    def add(self, row: Row) -> Future[Delivered]:
        future: Future[Delivered] = Future()
        self.rows.append(row)
        self.futures.append(future)
        self.size_bytes += row.size_bytes
        return future

    def records(self) -> Records:
        """The rows as columns. Raises ``FormatError`` if bytes and rows are mixed."""
        timestamps = [row.timestamp_ms for row in self.rows]
        headers = [list(row.headers) for row in self.rows]
        keys = [row.key for row in self.rows]
        return Records(
            value=_values([row.value for row in self.rows]),
            topic=self.topic,
            key=pa.array(keys, pa.binary()) if any(key is not None for key in keys) else None,
            timestamp=pa.array(timestamps, TIMESTAMP) if any(time is not None for time in timestamps) else None,
            headers=pa.array(headers, HEADERS) if any(headers) else None,
        )

    def refuse(self, refused: Sequence[Rejected]) -> None:
        """Tells the senders of these rows why; the others stay, in their order."""
        reasons = {
            row: reason
            for rejected in refused
            for row, reason in zip(rejected.rows.to_pylist(), rejected.reasons, strict=True)
        }
        for row, reason in reasons.items():
            _fail(self.futures[row], FormatError(f"the record does not fit {self.topic}: {reason}", topic=self.topic))
        self.futures = [future for row, future in enumerate(self.futures) if row not in reasons]

    def deliver(self, base_offset: int, count: int) -> None:
        """Tells the senders where their ``count`` records stand."""
        one_each = count == len(self.futures)
        for row, future in enumerate(self.futures):
            if future.set_running_or_notify_cancel():
                offset = base_offset + row if one_each else base_offset
                future.set_result(Delivered(self.topic, self.partition, offset))

    def fail(self, error: BaseException) -> None:
        """Tells all senders that have no answer yet."""
        for future in self.futures:
            _fail(future, error)


def _fail(future: Future[Delivered], error: BaseException) -> None:
    if future.set_running_or_notify_cancel():
        future.set_exception(error)


def _values(values: Sequence[Value]) -> pa.Array:
    try:
        typed = any(isinstance(value, Mapping) for value in values)
        return pa.array(values) if typed else pa.array(values, pa.binary())
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise FormatError(f"these values do not make one column: {error}") from error
