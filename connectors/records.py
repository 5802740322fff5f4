"""What flows: n records of one topic as Arrow columns.

All columns of one ``Records`` have the same length. Nothing here copies a row in Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

TIMESTAMP = pa.timestamp("ms", tz="UTC")
HEADERS = pa.list_(pa.struct([pa.field("key", pa.string(), nullable=False), pa.field("value", pa.binary())]))

_ROW_COLUMNS = ("value", "key", "timestamp", "headers", "positions", "offsets", "rows")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a batch came from outside: ``source`` is the source's name in the pipeline, ``name`` the
    file, table or peer, ``modified_ms`` that thing's own time where it has one (a file's mtime)."""

    source: str = ""
    name: str = ""
    modified_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """``n`` records; immutable, so threads may share them.

    ``value``      struct (typed columns), string or binary (large variants too); null is a tombstone
    ``topic``      the topic they go to or came from; "" means the source's default topic
    ``format``     what the bytes of ``value`` are (``json``, ``lines``, ``bytes``), if the source knows: a topic that
                   is not there yet is made with it
    ``key``        binary or string, or None where no record has a key
    ``timestamp``  ``TIMESTAMP``; None means the time of append
    ``headers``    ``HEADERS``, per record; ``common_headers`` stand before them on every record
    ``stream``     which part of the source they came from (a file, a table): the order within a
                   stream is kept, and positions are kept per stream
    ``origin``, ``positions`` (int64, the byte or row position of each record in its origin)
                   what a dead letter tells about where a record came from
    ``partition``, ``offsets`` (int64)  set when read from a hub; with the ``arrow`` format many rows
                   share an offset
    ``rows``       int64, the index of each row in the batch that entered the transforms: set by the
                   runtime, carried by ``filter`` and ``take``, so that a refused row is traced back;
                   when given to a sink, the row inside its record, as ``DeadLetter.row`` names it
    """

    value: pa.Array
    topic: str = ""
    format: str = ""
    key: pa.Array | None = None
    timestamp: pa.Array | None = None
    headers: pa.Array | None = None
    common_headers: tuple[tuple[str, bytes | None], ...] = ()
    stream: str = ""
    origin: Origin = Origin()
    positions: pa.Array | None = None
    partition: int | None = None
    offsets: pa.Array | None = None
    rows: pa.Array | None = None

    def __len__(self) -> int:
        return len(self.value)

    @property
    def nbytes(self) -> int:
        """Bytes held by the columns (shared buffers counted as far as they are used)."""
        return sum(int(column.nbytes) for column in self._row_columns().values())

    @property
    def buffer_bytes(self) -> int:
        """No less than ``nbytes``, and found in a fraction of its time: buffers count whole, shared or not."""
        return sum(column.get_total_buffer_size() for column in self._row_columns().values())

    def with_value(self, value: pa.Array) -> Records:
        """The same records with another value column of the same length."""
        if len(value) != len(self.value):
            raise ValueError(f"{len(value)} values for {len(self.value)} records")
        return replace(self, value=value, format="")

    def filter(self, mask: pa.Array) -> Records:
        """Those records where the boolean ``mask`` is true (null counts as false)."""
        return self._map(lambda column: column.filter(mask))

    def take(self, indices: pa.Array) -> Records:
        """The records at ``indices``, in that order."""
        return self._map(lambda column: column.take(indices))

    def slice(self, offset: int, length: int | None = None) -> Records:
        """A view of ``length`` records from ``offset``; no copy."""
        return self._map(lambda column: column.slice(offset, length))

    def columns(self) -> pa.RecordBatch:
        """The value as a record batch: a struct's fields, or the one column ``value``.

        A null struct becomes a row of nulls.
        """
        if pa.types.is_struct(self.value.type):
            return pa.RecordBatch.from_arrays(self.value.flatten(), schema=pa.schema(list(self.value.type)))
        return pa.RecordBatch.from_arrays([self.value], names=["value"])

    @classmethod
    def from_rows(cls, rows: Sequence[dict[str, Any]], *, topic: str = "", **columns: Any) -> Records:
        """For simple connectors: dictionaries become a struct column, once, here."""
        return cls(value=pa.array(rows, type=None if rows else pa.struct([])), topic=topic, **columns)

    def _row_columns(self) -> dict[str, pa.Array]:
        return {name: column for name in _ROW_COLUMNS if (column := getattr(self, name)) is not None}

    def _map(self, change: Any) -> Records:
        return replace(self, **{name: change(column) for name, column in self._row_columns().items()})
