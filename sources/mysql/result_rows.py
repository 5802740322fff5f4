"""Rows of a prepared statement's result as Arrow columns: by the compiled kernel, else by its twin.

``INGEST_PURE=1`` in the environment chooses the twin where both are there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ingest.errors import DecodeFailed
from ingest.sources.databases.tables import ColumnInfo
from ingest.sources.mysql.columns import Decoded, array_of

try:
    if os.environ.get("INGEST_PURE"):
        raise ImportError("the twin was asked for")
    from ingest.sources.mysql._result_rows import decode_rows, packets
except ImportError:
    from ingest.sources.mysql.result_rows_twin import decode_rows, packets

__all__ = ["ResultColumn", "ResultDecoder", "packets"]


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """A column of a result: what it becomes, and how the kernel reads it."""

    info: ColumnInfo
    kind: int
    decoded: Decoded


class ResultDecoder:
    """Decodes rows of the same columns, again and again. Thread-safe."""

    def __init__(self, columns: Sequence[ResultColumn]) -> None:
        self._columns = columns
        self.schema = pa.schema([pa.field(column.info.name, column.info.type) for column in columns])
        self._kinds = np.array([column.kind for column in columns], np.int32)
        self._scales = np.array([column.decoded.scale for column in columns], np.int32)

    def decode(self, data: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> tuple[pa.RecordBatch, np.ndarray]:
        """The rows that ``packets`` found in ``data``, as columns.

        The array holds for each row 0, or 1 + the number of the first column whose value its type cannot hold: a date
        that no calendar has, a time that is none of a day, a text that is no UTF-8. Such a value is null in the batch.
        Raises ``DecodeFailed``.
        """
        try:
            columns, refused = decode_rows(data, starts, lengths, self._kinds, self._scales)
        except (ValueError, OverflowError) as error:
            raise DecodeFailed(f"a result of MariaDB: {error}", rows=len(starts)) from error
        arrays = [
            array_of(column.decoded, len(starts), *parts) for column, parts in zip(self._columns, columns, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema), refused
