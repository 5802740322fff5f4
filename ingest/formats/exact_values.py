"""Columns as Python values that lose nothing, for codecs that go one value at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
from pyarrow import types as t

from ingest.formats.widening import is_list


def exact_values(array: pa.Array, leaf: Callable[[pa.Array], pa.Array]) -> list[Any]:
    """Structs as dictionaries, lists as lists, maps as lists of pairs; ``leaf`` turns a column without
    children into one whose ``to_pylist`` is exact.

    Column by column: Arrow's own casts of nested types go wrong on slices with null columns.
    """
    kind = array.type
    valid = array.is_valid().to_pylist()
    if t.is_struct(kind):
        columns = [exact_values(column, leaf) for column in array.flatten()]
        names = [field.name for field in kind]
        items = zip(*columns, strict=True) if columns else (() for _ in valid)
        return [dict(zip(names, row, strict=True)) if ok else None for ok, row in zip(valid, items, strict=True)]
    if t.is_map(kind):
        pairs = list(zip(exact_values(array.keys, leaf), exact_values(array.items, leaf), strict=True))
        return _cut(array.offsets.to_pylist(), pairs, valid)
    if t.is_fixed_size_list(kind):
        return [exact_values(item.values, leaf) if ok else None for item, ok in zip(array, valid, strict=True)]
    if is_list(kind):
        return _cut(array.offsets.to_pylist(), exact_values(array.values, leaf), valid)
    found: list[Any] = leaf(array).to_pylist()
    return found


def counts(array: pa.Array) -> pa.Array:
    """Times as integers of their unit, text as its bytes; anything else as it is."""
    kind = array.type
    if t.is_string(kind) or t.is_large_string(kind):
        return array.cast(pa.large_binary())
    if t.is_date32(kind) or t.is_time32(kind):
        return array.cast(pa.int32())
    return array.cast(pa.int64()) if t.is_temporal(kind) and not t.is_interval(kind) else array


def _cut(offsets: list[int], values: list[Any], valid: list[bool]) -> list[Any]:
    return [values[offsets[row] : offsets[row + 1]] if ok else None for row, ok in enumerate(valid)]
