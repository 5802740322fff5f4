"""Parts of an import on their way from the readers to the task."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ingest.sources.databases.tables import TableInfo


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a table. ``dead`` are rows with a value that its type cannot hold: as JSON, each with a reason.

    ``split`` counts from 1 what is read at the same time; 0: the reader does not divide.
    """

    table: TableInfo
    rows: pa.RecordBatch
    dead: Sequence[tuple[bytes, str]] = ()
    split: int = 0


def part_of(table: TableInfo, batch: pa.RecordBatch, refused: np.ndarray) -> Part:
    """``refused`` holds for each row 0, or 1 + the number of the column whose value is missing in ``batch``."""
    if not refused.any():
        return Part(table, batch)
    places = np.flatnonzero(refused)
    rows = batch.take(pa.array(places)).to_pylist()
    dead = [_letter(table, row, int(refused[place]) - 1) for row, place in zip(rows, places, strict=True)]
    return Part(table, batch.filter(pa.array(refused == 0)), dead)


def _letter(table: TableInfo, row: dict[str, object], place: int) -> tuple[bytes, str]:
    column = table.columns[place]
    names = ", ".join(f"{name}={row[name]}" for name in table.key if name in row)
    reason = f"column {column.name} ({column.database_type}) has a value that {column.type} cannot hold"
    content = json.dumps(row, default=_text, ensure_ascii=False).encode()
    return content, f"{reason}; key {names}" if names else reason


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


class PartQueue:
    """From several readers to one task, bounded in bytes: a part enters when it fits, or when the queue is empty."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._size = 0
        self._items: deque[tuple[Part | BaseException | None, int]] = deque()
        self._changed = threading.Condition()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the readers should stop."""
        return self._closed

    def put(self, item: Part | BaseException | None, size_bytes: int = 0) -> None:
        """Waits for room; drops the item once the queue is closed. None says that a reader has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._size or self._size + size_bytes <= self._limit)
            if not self._closed:
                self._items.append((item, size_bytes))
                self._size += size_bytes
                self._changed.notify_all()

    def get(self, timeout_ms: int) -> Part | BaseException | None:
        """The next item; raises ``TimeoutError`` if none comes."""
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self._items), timeout_ms / 1000):
                raise TimeoutError
            item, size = self._items.popleft()
            self._size -= size
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """Lets go whoever waits for room."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()
