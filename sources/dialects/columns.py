"""SQLAlchemy's types as Arrow's, and a driver's values as columns of them: each value exactly, or refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa

from ingest.sources.databases.tables import ColumnInfo

_MOMENT = pa.timestamp("us")
_EXACT = 2**53
"""Up to here each integer is a double."""


def type_of(declared: Any) -> pa.DataType:
    """What a column of a type of SQLAlchemy becomes; text, where nobody knows better."""
    from sqlalchemy import types

    if isinstance(declared, types.Boolean):
        return pa.bool_()
    if isinstance(declared, types.Integer):
        return pa.uint64() if getattr(declared, "unsigned", False) else pa.int64()
    if isinstance(declared, types.Float):
        return pa.float64()
    if isinstance(declared, types.Numeric):
        return _decimal(declared.precision, declared.scale)
    if isinstance(declared, types.DateTime):
        return pa.timestamp("us", "UTC") if declared.timezone else _MOMENT
    if isinstance(declared, types.Date):
        return pa.date32()
    if isinstance(declared, types.Time) and not declared.timezone:
        return pa.time64("us")
    if isinstance(declared, types._Binary):
        return pa.binary()
    return pa.string()


def _decimal(precision: int | None, scale: int | None) -> pa.DataType:
    if precision is None or precision > 76 or not 0 <= (scale or 0) <= precision:
        return pa.string()
    return (pa.decimal128 if precision <= 38 else pa.decimal256)(precision, scale or 0)


_BY_VALUE: Sequence[tuple[type, pa.DataType]] = (
    (bool, pa.bool_()),
    (int, pa.int64()),
    (float, pa.float64()),
    (datetime, _MOMENT),
    (date, pa.date32()),
    (time, pa.time64("us")),
    (bytes, pa.binary()),
)


def type_of_values(values: Sequence[object]) -> pa.DataType:
    """For columns of a query, by some of their values: text, unless all are of one type."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {datetime} and all(value.tzinfo for value in values if isinstance(value, datetime)):
        return pa.timestamp("us", "UTC")
    if kinds == {int, float}:
        return pa.float64()
    return next((kind for python, kind in _BY_VALUE if kinds == {python}), pa.string())


def batch_of(rows: Sequence[Sequence[Any]], columns: Sequence[ColumnInfo]) -> tuple[pa.RecordBatch, np.ndarray]:
    """The rows as columns; the array holds for each row 0, or 1 + the number of the first column that is refused."""
    refused = np.zeros(len(rows), np.int64)
    arrays = []
    for place, (column, values) in enumerate(zip(columns, zip(*rows, strict=True), strict=True)):
        array, bad = _column(values, column.type)
        arrays.append(array)
        if bad is not None:
            refused = np.where((refused == 0) & bad, place + 1, refused)
    return pa.RecordBatch.from_arrays(arrays, [column.name for column in columns]), refused


_PLAIN: dict[str, type] = {"int64": int, "double": float, "string": str, "binary": bytes, "bool": bool}


def _column(values: Sequence[Any], kind: pa.DataType) -> tuple[pa.Array, np.ndarray | None]:
    plain = _PLAIN.get(str(kind))
    if plain is not None and set(map(type, values)) <= {plain, type(None)}:
        try:
            return pa.array(values, kind), None
        except (pa.ArrowInvalid, OverflowError, UnicodeEncodeError):
            pass
    kept, bad = [], np.zeros(len(values), bool)
    for row, value in enumerate(values):
        try:
            meant = None if value is None else _meant(value, kind)
            pa.scalar(meant, kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError, TypeError, ArithmeticError):
            meant, bad[row] = None, True
        kept.append(meant)
    return pa.array(kept, kind), bad if bad.any() else None


def _meant(value: Any, kind: pa.DataType) -> Any:
    """The same value in the type's own Python class; raises where it would be another."""
    if pa.types.is_string(kind):
        return _text(value)
    if pa.types.is_boolean(kind):
        return _only(value, value in (0, 1), bool)
    if pa.types.is_integer(kind):
        return _only(value, int(value) == value and not isinstance(value, str), int)
    if pa.types.is_floating(kind):
        return _only(value, isinstance(value, float | Decimal) or abs(value) <= _EXACT, float)
    if pa.types.is_decimal(kind):
        return value if isinstance(value, Decimal) else Decimal(str(value))
    if pa.types.is_binary(kind):
        return bytes(value) if not isinstance(value, str) else _only(value, False, bytes)
    return _moment(value, kind)


def _only(value: Any, fits: bool, python: Any) -> Any:
    if not fits:
        raise ValueError(f"{value!r} does not fit")
    return python(value)


def _moment(value: Any, kind: pa.DataType) -> Any:
    python: Any = datetime if pa.types.is_timestamp(kind) else date if pa.types.is_date(kind) else time
    if isinstance(value, str):
        value = python.fromisoformat(value)
    if python is date and isinstance(value, datetime):
        return _only(value, value.time() == time(), lambda found: found.date())
    if python is time and isinstance(value, timedelta):
        return _only(value, timedelta() <= value < timedelta(days=1), lambda found: (datetime.min + found).time())
    if python is datetime and kind.tz is None and value.tzinfo is not None:
        raise ValueError("a zone where none is declared")
    if python is datetime and type(value) is date:
        return datetime(value.year, value.month, value.day, tzinfo=UTC if kind.tz else None)
    return _only(value, isinstance(value, python), lambda found: found)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict | list | tuple | bool):
        return json.dumps(value, default=str, ensure_ascii=False)
    if isinstance(value, int | float | Decimal | UUID | date | time | timedelta):
        return str(value)
    raise TypeError(f"no text is known for {type(value).__name__}")
