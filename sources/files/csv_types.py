"""Texts of CSV as typed columns: those that are asked for, or guessed from the first rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as t

_WHOLE = r"\A[+-]?[0-9]+\z"
_BOOLEAN = r"\A(?:true|false)\z"
_NUMBER = r"\A[+-]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\z"
_GUESSES = (
    ("int64", r"\A-?(?:0|[1-9][0-9]{0,17})\z"),
    ("float64", _NUMBER),
    ("boolean", _BOOLEAN),
    ("date", r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\z"),
    (
        "timestamp",
        r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
        r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?\z",
    ),
)


def guess(column: pa.Array) -> str:
    """The name of the first type that all texts in the column have; ``string`` if there is none, or no text."""
    texts = column.drop_null()
    if not len(texts):
        return "string"
    for name, pattern in _GUESSES:
        if pc.all(pc.match_substring_regex(texts, pattern)).as_py():
            return name
    return "string"


def converted(column: pa.Array, kind: pa.DataType) -> tuple[pa.Array, np.ndarray]:
    """The texts as values, and the rows (indices) whose text is none of the type. An empty text is null, but
    where texts are wanted."""
    if t.is_string(kind):
        return column, np.empty(0, np.int64)
    column = pc.if_else(pc.equal(column, ""), None, column)
    made = _timestamps(column, kind) if t.is_timestamp(kind) else _cast(_canonical(column, kind), kind)
    lost = pc.and_(column.is_valid(), made.is_null())
    return made, pc.indices_nonzero(lost).to_numpy().astype(np.int64)


def _canonical(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Arrow reads 0x10 as a number, and 1 as true: texts that people write as neither."""
    if t.is_integer(kind):
        return pc.if_else(pc.match_substring_regex(column, _WHOLE), pc.utf8_ltrim(column, "+"), None)
    if t.is_boolean(kind):
        lower = pc.utf8_lower(column)
        return pc.if_else(pc.match_substring_regex(lower, _BOOLEAN), lower, None)
    return column


def _timestamps(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """With a zone, or in UTC."""
    zoned = _cast(column, kind)
    plain = _cast(pc.if_else(zoned.is_null(), column, None), pa.timestamp(kind.unit))
    return pc.coalesce(zoned, plain.cast(kind))


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Halves what fails until what cannot be cast stands alone, and is null."""
    try:
        return column.cast(kind)
    except pa.ArrowInvalid:
        if len(column) == 1:
            return pa.nulls(1, kind)
    half = len(column) // 2
    return pa.concat_arrays([_cast(column.slice(0, half), kind), _cast(column.slice(half), kind)])
