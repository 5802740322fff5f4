"""Casting columns to a topic's schema without changing a value: rows that would change are refused.

Only casts within a family of the lattice are made (numbers, text, bytes, times), narrowing ones too, value
by value: a text is never read as a number, a float never becomes an integer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as t

from ingest.connectors import Rejected
from ingest.errors import FormatError
from ingest.formats.format import rejected
from ingest.formats.widening import Clash, below, is_list, join, plain

_EXACT_IN_FLOAT = {16: 2**11, 32: 2**24, 64: 2**53}

Refusals = list[tuple[str, np.ndarray]]
"""(reason, rows of the column as a boolean mask)"""


def cast_value(value: pa.Array, schema: pa.Schema) -> tuple[pa.Array, list[Rejected]]:
    """The rows of the struct column ``value`` that fit, as a struct of ``schema``, and those that do not.

    Columns that ``value`` lacks become null. A row with a value in a column that ``schema`` lacks does not
    fit, for that value would be lost. Raises ``FormatError`` if ``value`` holds no columns.
    """
    target = pa.struct(list(schema))
    if value.type.equals(target):
        return value, []
    if not t.is_struct(value.type):
        raise FormatError(
            f"the topic's values are columns, and a value of type {value.type} came",
            hint="parse it first, or give the topic the format lines or bytes",
        )
    array, refusals = _cast(value, target, "")
    if not refusals:
        return array, []
    return _take_out(array, refusals)


def cast_to(batch: pa.RecordBatch, schema: pa.Schema) -> tuple[pa.RecordBatch, list[Rejected]]:
    """``cast_value`` for the columns of a record batch."""
    value = pa.StructArray.from_arrays(batch.columns, fields=list(batch.schema))
    array, refused = cast_value(value, schema)
    return pa.RecordBatch.from_arrays(array.flatten(), schema=schema), refused


def without_encodings(array: pa.Array) -> pa.Array:
    """The same values with plain types: no dictionaries, views or run-ends, nested ones included."""
    return _cast(array, plain(array.type), "")[0]


def _take_out(array: pa.Array, refusals: Refusals) -> tuple[pa.Array, list[Rejected]]:
    reasons: dict[int, str] = {}
    for reason, mask in refusals:
        for row in np.flatnonzero(mask).tolist():
            reasons.setdefault(row, reason)
    keep = np.ones(len(array), dtype=bool)
    rows = sorted(reasons)
    keep[rows] = False
    return array.filter(pa.array(keep)), [rejected(rows, [reasons[row] for row in rows], "CastFailed")]


def _cast(array: pa.Array, target: pa.DataType, path: str) -> tuple[pa.Array, Refusals]:
    array = _decoded(array)
    if array.type.equals(target):
        return array, []
    if array.null_count == len(array):
        return pa.nulls(len(array), target), []
    for same_kind, cast in _NESTED:
        if same_kind(array.type) and same_kind(target):
            return cast(array, target, path)
    return _cast_leaf(array, target, path)


def _decoded(array: pa.Array) -> pa.Array:
    """The values behind a dictionary, run-end, view or extension array."""
    if isinstance(array, pa.ExtensionArray):
        return _decoded(array.storage)
    if isinstance(array, pa.DictionaryArray):
        return _decoded(array.dictionary_decode())
    if isinstance(array, pa.RunEndEncodedArray):
        return _decoded(pc.run_end_decode(array))
    kind = plain(array.type)
    return array if t.is_nested(kind) or kind.equals(array.type) else array.cast(kind)


def _cast_struct(array: pa.StructArray, target: pa.StructType, path: str) -> tuple[pa.Array, Refusals]:
    columns: list[pa.Array] = []
    refusals: Refusals = []
    children = dict(zip((field.name for field in array.type), array.flatten(), strict=True))
    valid = _mask(array.is_valid())
    for field in target:
        child = children.pop(field.name, None)
        column = pa.nulls(len(array), field.type)
        if child is not None:
            column, inner = _cast(child, field.type, below(path, field.name))
            refusals += inner
        if not field.nullable and column.null_count:
            missing = _mask(column.is_null()) & valid
            refusals += _refuse(f"{below(path, field.name)}: null where the topic has none", missing)
        columns.append(column)
    for name, child in children.items():
        refusals += _refuse(f"{below(path, name)}: the topic has no such column", _mask(child.is_valid()))
    nulls = array.is_null() if array.null_count else None
    if not columns:
        return pa.array([{} if ok else None for ok in valid.tolist()], type=target), refusals
    return pa.StructArray.from_arrays(columns, fields=list(target), mask=nulls), refusals


def _cast_list(array: pa.Array, target: pa.DataType, path: str) -> tuple[pa.Array, Refusals]:
    if t.is_fixed_size_list(target):
        return _cast_each(array, target, path)
    values, inner = _cast(array.flatten(), target.value_type, f"{path}[]")
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    parents = np.repeat(np.arange(len(array)), lengths)
    made = pa.LargeListArray if t.is_large_list(target) else pa.ListArray
    width = np.int64 if t.is_large_list(target) else np.int32
    mask = array.is_null() if array.null_count else None
    joined = made.from_arrays(pa.array(offsets.astype(width)), values, type=target, mask=mask)
    return joined, _of_parents(inner, parents, len(array))


def _cast_map(array: pa.MapArray, target: pa.MapType, path: str) -> tuple[pa.Array, Refusals]:
    entry = pa.struct([target.key_field, target.item_field])
    entries = pa.list_(pa.field("entries", entry, nullable=False))
    offsets = array.offsets.to_numpy()
    keys = array.keys.slice(offsets[0], offsets[-1] - offsets[0])
    items = array.items.slice(offsets[0], offsets[-1] - offsets[0])
    pairs = pa.StructArray.from_arrays([keys, items], fields=[array.type.key_field, array.type.item_field])
    mask = array.is_null() if array.null_count else None
    plain_list = pa.ListArray.from_arrays(pa.array(offsets - offsets[0]), pairs, mask=mask)
    cast, refusals = _cast_list(plain_list, entries, path)
    pairs = cast.values
    made = pa.MapArray.from_arrays(cast.offsets, pairs.field(0), pairs.field(1), type=target, mask=mask)
    return made, refusals


_NESTED: Sequence[tuple[Callable[[pa.DataType], bool], Callable[..., tuple[pa.Array, Refusals]]]] = (
    (t.is_struct, _cast_struct),
    (t.is_map, _cast_map),
    (is_list, _cast_list),
)


def _cast_leaf(array: pa.Array, target: pa.DataType, path: str) -> tuple[pa.Array, Refusals]:
    refused = f"{path}: {array.type} does not fit {target}"
    if not _may_cast(array.type, target):
        return pa.nulls(len(array), target), _refuse(refused, _mask(array.is_valid()))
    if not t.is_floating(target):
        try:
            return array.cast(target), []
        except pa.ArrowInvalid:
            return _cast_each(array, target, path)
    bad = _inexact(array, target)
    kept = pc.if_else(pa.array(~bad), array, None) if bad.any() else array
    return kept.cast(target, safe=False), _refuse(f"{path}: a number that is not exact as {target}", bad)


def _may_cast(source: pa.DataType, target: pa.DataType) -> bool:
    """Whether both are of one family, and no fraction is asked to become a whole number."""
    try:
        join(source, target)
    except Clash:
        return False
    return not (t.is_floating(source) and not t.is_floating(target))


def _inexact(array: pa.Array, target: pa.DataType) -> np.ndarray:
    """Which numbers ``target``, a float, does not hold exactly; null, NaN and infinities it holds."""
    if t.is_integer(array.type):
        limit = _EXACT_IN_FLOAT[target.bit_width]
        wide = array.cast(pa.decimal128(20, 0))
        return _mask(pc.or_(pc.greater(wide, pa.scalar(limit)), pc.less(wide, pa.scalar(-limit))))
    back = array.cast(target, safe=False).cast(array.type, safe=False)
    same = pc.or_(pc.equal(array, back), pc.is_nan(array))
    return ~_mask(pc.fill_null(same, True))


def cast_each(array: pa.Array, target: pa.DataType) -> tuple[pa.Array, np.ndarray]:
    """The cast of each element by itself, null where it cannot be made, and a mask of those.

    Halves the column until what cannot be cast stands alone.
    """
    bad = np.zeros(len(array), dtype=bool)
    done: list[tuple[int, pa.Array]] = []
    blocks = [(0, len(array))]
    while blocks:
        start, length = blocks.pop()
        try:
            done.append((start, array.slice(start, length).cast(target)))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            if length == 1:
                bad[start] = True
                done.append((start, pa.nulls(1, target)))
            else:
                half = length // 2
                blocks += [(start, half), (start + half, length - half)]
    pieces = [piece for _, piece in sorted(done, key=lambda item: item[0])]
    return pa.concat_arrays(pieces), bad


def _cast_each(array: pa.Array, target: pa.DataType, path: str) -> tuple[pa.Array, Refusals]:
    cast, bad = cast_each(array, target)
    return cast, _refuse(f"{path}: a value of {array.type} that does not fit {target}", bad)


def _of_parents(refusals: Refusals, parents: np.ndarray, rows: int) -> Refusals:
    found: Refusals = []
    for reason, mask in refusals:
        upper = np.zeros(rows, dtype=bool)
        upper[parents[mask]] = True
        found.append((reason, upper))
    return found


def _refuse(reason: str, mask: np.ndarray) -> Refusals:
    return [(reason, mask)] if mask.any() else []


def _mask(array: pa.Array) -> np.ndarray:
    if array.null_count:
        array = array.fill_null(False)
    found: np.ndarray = array.to_numpy(zero_copy_only=False)
    return found
