"""Columns of records made to fit those of a table, without changing a value: rows that would change are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as t

from ingest.formats.casting import cast_each, cast_value
from ingest.formats.json_codec import encode
from ingest.formats.widening import Clash, is_list, join, plain
from ingest.sinks.sql.tables import Column

Reasons = dict[int, str]
"""Why a row is refused, by its place."""


def is_nested(kind: pa.DataType) -> bool:
    """Whether it goes into the database as JSON."""
    return bool(t.is_struct(kind) or t.is_map(kind) or is_list(kind))


def must_grow(column: Column, kind: pa.DataType) -> pa.DataType | None:
    """The type that the column would need to take every value of ``kind`` as well; None if it takes them, or if there
    is no such type: then each value is looked at."""
    if column.holds is None or t.is_null(kind) or is_nested(kind):
        return None
    try:
        joined = join(column.holds, kind)
    except Clash:
        return None
    return None if joined.equals(column.holds) or _is_text(joined) or _is_bytes(joined) else joined


def fit(batch: pa.RecordBatch, columns: Mapping[str, Column]) -> tuple[pa.RecordBatch, Reasons]:
    """``batch`` with types that ``columns`` (by the batch's names) hold, and the rows whose values they do not.
    Those rows are in the result, null where the value is."""
    reasons: Reasons = {}
    arrays: list[pa.Array] = []
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        fitted, bad, reason = _fitted(array, columns[name])
        for row in np.flatnonzero(bad).tolist() if bad is not None else ():
            reasons.setdefault(row, reason)
        arrays.append(fitted)
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names), reasons


def _fitted(array: pa.Array, column: Column) -> tuple[pa.Array, np.ndarray | None, str]:
    kind = plain(array.type)
    reason = f"{column.name}: a value of {kind} that the column ({column.declared}) does not hold"
    if is_nested(kind):
        array, kind = as_json(array), pa.string()
    wanted = column.holds
    if wanted is None or kind.equals(wanted):
        return (array if array.type.equals(kind) else array.cast(kind)), None, ""
    if t.is_null(kind):
        return pa.nulls(len(array), wanted), None, ""
    if _is_text(kind) != _is_text(wanted) and not (_is_bytes(kind) or _is_bytes(wanted)):
        return *cast_each(array, wanted), reason
    return *_cast_exactly(array, wanted), reason


def _cast_exactly(array: pa.Array, wanted: pa.DataType) -> tuple[pa.Array, np.ndarray]:
    """``cast_value`` leaves out the rows that do not fit; here they stay, as nulls."""
    value = pa.StructArray.from_arrays([array], names=["value"])
    cast, refused = cast_value(value, pa.schema([("value", wanted)]))
    bad = np.zeros(len(array), bool)
    for item in refused:
        bad[item.rows.to_numpy()] = True
    column = cast.flatten()[0]
    if not refused:
        return column, bad
    places = np.cumsum(~bad) - 1
    return column.take(pa.array(places, mask=bad)), bad


def as_json(array: pa.Array) -> pa.Array:
    """Nested values as JSON texts."""
    encoded, _ = encode(pa.StructArray.from_arrays([array], names=["v"]))
    return _inside(encoded, array)


def _inside(encoded: pa.Array, array: pa.Array) -> pa.Array:
    """Without the ``{"v":`` and ``}`` around it; null where the value is."""
    text = pc.binary_slice(encoded, 5, -1).cast(pa.string())
    return pc.if_else(pc.is_null(array), pa.scalar(None, pa.string()), text)


def _is_text(kind: pa.DataType) -> bool:
    return bool(t.is_string(kind) or t.is_large_string(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(t.is_binary(kind) or t.is_large_binary(kind) or t.is_fixed_size_binary(kind))


def double_name(names: Sequence[str], *, folds_case: bool) -> str | None:
    """A name that would be twice in the table."""
    seen: set[str] = set()
    for name in names:
        folded = name.casefold() if folds_case else name
        if folded in seen:
            return name
        seen.add(folded)
    return None
