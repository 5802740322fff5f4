"""Struct columns of every type that formats carry, as Hypothesis strategies."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st
from pyarrow import types as t

Strategy = st.SearchStrategy[Any]

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_FIRST_DAY, _LAST_DAY = -719162, 2932896  # the years 1 to 9999

LEAVES: tuple[pa.DataType, ...] = (
    pa.null(),
    pa.bool_(),
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.float16(), pa.float32(), pa.float64()),
    *(pa.decimal128(10, 2), pa.decimal128(38, 12), pa.decimal256(50, 3)),
    *(pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.binary(3)),
    *(pa.date32(), pa.date64(), pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
    *(pa.timestamp("s"), pa.timestamp("ms", "UTC"), pa.timestamp("us", "Europe/Berlin"), pa.timestamp("ns")),
    pa.duration("us"),
)


def kinds(leaves: tuple[pa.DataType, ...] = LEAVES) -> Strategy:
    """Types, nested up to a few levels."""
    return st.recursive(st.sampled_from(leaves), _nested, max_leaves=4)


def _nested(inner: Strategy) -> Strategy:
    names = st.lists(st.sampled_from(["a", "b", 'quote"', "é\n", ""]), unique=True, max_size=3)
    fields = names.flatmap(lambda found: st.tuples(*(inner.map(lambda k, n=n: pa.field(n, k)) for n in found)))
    return st.one_of(
        fields.map(lambda found: pa.struct(list(found))),
        inner.map(pa.list_),
        inner.map(pa.large_list),
        inner.map(lambda kind: pa.list_(kind, 2)),
        inner.map(lambda kind: pa.map_(pa.string(), kind)),
    )


def struct_arrays(leaves: tuple[pa.DataType, ...] = LEAVES, max_size: int = 12) -> Strategy:
    """Struct columns with nulls at every level, some of them slices of longer ones."""

    def of_kinds(found: list[pa.DataType]) -> Strategy:
        kind = pa.struct([(f"c{index}", each) for index, each in enumerate(found)])
        rows = st.lists(values(kind), max_size=max_size)
        return st.tuples(rows, st.integers(0, 3)).map(lambda drawn: pa.array(drawn[0], kind).slice(drawn[1]))

    return st.lists(kinds(leaves), min_size=1, max_size=4).flatmap(of_kinds)


def values(kind: pa.DataType) -> Strategy:
    """Python values that ``pa.array`` takes for ``kind``, null among them."""
    return st.none() | _present(kind)


def _present(kind: pa.DataType) -> Strategy:
    if t.is_null(kind):
        return st.none()
    if t.is_struct(kind):
        return st.fixed_dictionaries({field.name: values(field.type) for field in kind})
    if t.is_map(kind):
        return st.dictionaries(st.text(max_size=3), values(kind.item_type), max_size=3).map(lambda d: list(d.items()))
    if t.is_fixed_size_list(kind):
        return st.lists(values(kind.value_type), min_size=kind.list_size, max_size=kind.list_size)
    if t.is_list(kind) or t.is_large_list(kind):
        return st.lists(values(kind.value_type), max_size=3)
    return next(make(kind) for is_kind, make in _LEAF_VALUES if is_kind(kind))


def _integers(kind: pa.DataType) -> Strategy:
    if t.is_unsigned_integer(kind):
        return st.integers(0, 2**kind.bit_width - 1)
    return st.integers(-(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1) - 1)


def _floats(kind: pa.DataType) -> Strategy:
    usual = st.floats(width=kind.bit_width)
    if t.is_float16(kind):
        return usual.map(np.float16)
    if t.is_float32(kind):
        return usual
    return usual | st.decimals(0, 10**9, places=3).map(float)


def _decimals(kind: pa.DataType) -> Strategy:
    limit = 10**kind.precision - 1
    return st.integers(-limit, limit).map(lambda digits: Decimal(f"{digits}E-{kind.scale}"))


def _stamps(kind: pa.DataType) -> Strategy:
    unit = _PER_SECOND[kind.unit]
    low = max(_FIRST_DAY * 86_400 * unit, -(2**63) + 2 * unit)
    return st.integers(low, min((_LAST_DAY + 1) * 86_400 * unit - 1, 2**63 - 2 * unit))


_DATES = st.integers(_FIRST_DAY, _LAST_DAY)
_TEXT = st.text(max_size=12) | st.text('abc "\\\n\x00\x7fé𝄞', max_size=24)
_LEAF_VALUES: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType], Strategy]], ...] = (
    (t.is_boolean, lambda kind: st.booleans()),
    (t.is_integer, _integers),
    (t.is_floating, _floats),
    (t.is_decimal, _decimals),
    (t.is_string, lambda kind: _TEXT),
    (t.is_large_string, lambda kind: _TEXT),
    (t.is_fixed_size_binary, lambda kind: st.binary(min_size=kind.byte_width, max_size=kind.byte_width)),
    (t.is_binary, lambda kind: st.binary(max_size=9)),
    (t.is_large_binary, lambda kind: st.binary(max_size=9)),
    (t.is_date32, lambda kind: _DATES),
    (t.is_date64, lambda kind: st.dates(datetime.date(1, 1, 1))),
    (t.is_time, lambda kind: st.integers(0, 86_400 * _PER_SECOND[kind.unit] - 1)),
    (t.is_timestamp, _stamps),
    (t.is_duration, lambda kind: st.integers(-(2**63) + 1, 2**63 - 1)),
)


def told(array: pa.Array) -> list[str]:
    """Each value as text, in which NaN equals NaN and -0.0 is not 0.0."""
    return [_told(item, array.slice(row, 1)) for row, item in enumerate(array)]


def _told(item: Any, alone: pa.Array) -> str:
    try:
        return str(item)
    except OverflowError:  # the last hours of the year 9999 in a zone to the east: no datetime of Python's
        return str(alone.to_string(window=1_000_000, container_window=1_000_000))
