"""Rows of PostgreSQL's binary COPY as Arrow columns: by the compiled kernel, else by its twin.

``INGEST_PURE=1`` in the environment chooses the twin where both are there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.errors import DecodeFailed
from ingest.formats import copy_rows_twin as twin
from ingest.formats.copy_rows_twin import JSONB, NUMERIC, TEXT

try:
    if os.environ.get("INGEST_PURE"):
        raise ImportError("the twin was asked for")
    from ingest.formats._copy_rows import decode_rows
except ImportError:
    from ingest.formats.copy_rows_twin import decode_rows

_TYPES: Mapping[str, tuple[int, pa.DataType]] = {
    "bool": (twin.BOOL, pa.bool_()),
    "int2": (twin.INT2, pa.int16()),
    "int4": (twin.INT4, pa.int32()),
    "int8": (twin.INT8, pa.int64()),
    "oid": (twin.INT4, pa.uint32()),
    "float4": (twin.INT4, pa.float32()),
    "float8": (twin.INT8, pa.float64()),
    "date": (twin.DATE, pa.date32()),
    "time": (twin.TIME, pa.time64("us")),
    "timestamp": (twin.TIMESTAMP, pa.timestamp("us")),
    "timestamptz": (twin.TIMESTAMP, pa.timestamp("us", tz="UTC")),
    "interval": (twin.INTERVAL, pa.month_day_nano_interval()),
    "uuid": (twin.UUID, pa.binary(16)),
    "bytea": (TEXT, pa.binary()),
    "jsonb": (JSONB, pa.string()),
    "text": (TEXT, pa.string()),
}
SIGNATURE = b"PGCOPY\n\xff\r\n\0"
"""What a binary COPY begins with; flags and the length of an extension follow, four bytes each."""
TRAILER = b"\xff\xff"
"""What it ends with, where a row would begin."""


@dataclass(frozen=True, slots=True)
class CopyColumn:
    """A column of a binary COPY. ``wire`` is PostgreSQL's name of its type, where the table above has it,
    ``numeric`` with ``precision`` of at most 38 and ``scale``, or ``text`` for all that the server sends as text."""

    name: str
    wire: str
    precision: int = 38
    scale: int = 0

    @property
    def type(self) -> pa.DataType:
        """Of the Arrow column."""
        return pa.decimal128(self.precision, self.scale) if self.wire == "numeric" else _TYPES[self.wire][1]

    @property
    def kind(self) -> int:
        """As the kernel numbers it."""
        return NUMERIC if self.wire == "numeric" else _TYPES[self.wire][0]


class CopyDecoder:
    """Decodes rows of the same columns, again and again. Thread-safe."""

    def __init__(self, columns: Sequence[CopyColumn]) -> None:
        self.schema = pa.schema([pa.field(column.name, column.type) for column in columns])
        self._kinds = np.array([column.kind for column in columns], np.int32)
        self._scales = np.array([column.scale for column in columns], np.int32)

    def decode(self, data: Any, count: int) -> tuple[pa.RecordBatch, np.ndarray]:
        """``count`` rows that fill the buffer ``data`` (neither signature nor trailer), as columns.

        The array holds for each row 0, or 1 + the number of the first column whose value its type cannot hold: an
        infinite date, a numeric that is none or infinite, an interval beyond 292 years. Such a value is null in the
        batch. Texts must be UTF-8, as a connection with that ``client_encoding`` sends them. Raises ``DecodeFailed``.
        """
        try:
            columns, refused = decode_rows(np.frombuffer(data, np.uint8), count, self._kinds, self._scales)
        except (ValueError, OverflowError) as error:
            raise DecodeFailed(f"binary COPY: {error}", rows=count, size_bytes=len(data)) from error
        arrays = [_array(field.type, count, *parts) for field, parts in zip(self.schema, columns, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema), refused


def _array(kind: pa.DataType, count: int, *parts: np.ndarray) -> pa.Array:
    *data, present = parts
    validity = None if present.all() else pa.py_buffer(np.packbits(present, bitorder="little"))
    if pa.types.is_boolean(kind):
        data = [np.packbits(data[0], bitorder="little")]
    return pa.Array.from_buffers(kind, count, [validity, *(pa.py_buffer(each) for each in data)])
