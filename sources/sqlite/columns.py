"""SQLite's values as Arrow columns: every value of the column's type, or refused.

A declared type only says what SQLite prefers; each value has a type of its own. ``INTEGER``, ``REAL``, ``TEXT`` and
``BLOB`` columns are taken at their word, and other values in them are refused. For the rest (``NUMERIC``, ``DATE``, no
type, columns of a query) the types that are stored decide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from ingest.sources.databases.tables import ColumnInfo

_EXACT = 2**53
"""Up to here each integer is a double."""


class NotUtf8(bytes):
    """A text whose bytes are no UTF-8."""


def text_of(content: bytes) -> str | NotUtf8:
    """For ``sqlite3.Connection.text_factory``: a text that is none does not end the query."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return NotUtf8(content)


def type_of(declared: str, stored: Callable[[], set[str]]) -> pa.DataType:
    """By SQLite's rules of affinity; ``stored`` says which types the values have, where the declaration does not."""
    return declared_type(declared) or type_of_values(stored())


def declared_type(declared: str) -> pa.DataType | None:
    """None: the values decide."""
    name = declared.upper()
    if "INT" in name:
        return pa.int64()
    if any(word in name for word in ("CHAR", "CLOB", "TEXT")):
        return pa.string()
    if "BLOB" in name:
        return pa.binary()
    if any(word in name for word in ("REAL", "FLOA", "DOUB")):
        return pa.float64()
    return None


def type_of_values(stored: set[str]) -> pa.DataType:
    """The type for values of these types, SQLite's names without ``null``."""
    if stored == {"integer"}:
        return pa.int64()
    if stored == {"blob"}:
        return pa.binary()
    if stored and stored <= {"integer", "real"}:
        return pa.float64()
    return pa.string()


def batch_of(rows: Sequence[Sequence[object]], columns: Sequence[ColumnInfo]) -> tuple[pa.RecordBatch, np.ndarray]:
    """The rows as columns; the array holds for each row 0, or 1 + the number of the first column that is refused."""
    refused = np.zeros(len(rows), np.int64)
    arrays = []
    for place, (column, values) in enumerate(zip(columns, zip(*rows, strict=True), strict=True)):
        array, bad = _column(values, column.type)
        arrays.append(array)
        if bad is not None:
            refused = np.where((refused == 0) & bad, place + 1, refused)
    return pa.RecordBatch.from_arrays(arrays, [column.name for column in columns]), refused


_PYTHON: dict[pa.DataType, type] = {pa.int64(): int, pa.float64(): float, pa.string(): str, pa.binary(): bytes}


def _column(values: Sequence[object], kind: pa.DataType) -> tuple[pa.Array, np.ndarray | None]:
    if set(map(type, values)) <= {_PYTHON[kind], type(None)}:
        return pa.array(values, kind), None
    fits = np.array([value is None or _fits(value, kind) for value in values], bool)
    kept = [value if fit else None for value, fit in zip(values, fits, strict=True)]
    return pa.array(kept, kind), ~fits


def _fits(value: object, kind: pa.DataType) -> bool:
    if type(value) is int and pa.types.is_floating(kind):
        return abs(value) <= _EXACT
    return type(value) is _PYTHON[kind]
