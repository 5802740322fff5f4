"""A schema as the compiled JSON reader sees it, and its columns as Arrow arrays once it is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import types as t

from ingest.formats.casting import cast_each
from ingest.formats.json_twin import label_of, refuse_type
from ingest.formats.widening import is_list

NULLS, BOOLEAN, SIGNED, UNSIGNED, FLOAT, DECIMAL, TEXT, BYTES, STAMP, DAY, CLOCK, LIST, STRUCT = range(13)
_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_EXACT = {16: 2.0**11, 32: 2.0**24, 64: 2.0**53}
_BIGGEST = {16: 65504.0, 32: float(np.finfo(np.float32).max), 64: float(np.finfo(np.float64).max)}
_DAY_MS = 86_400_000


@dataclass(slots=True)
class ColumnSpec:
    """One ``Column`` of ``_json_reader``."""

    kind: int
    label: bytes = b""
    name: bytes = b""
    nullable: bool = True
    digits: int = 0
    zoned: bool = False
    low: int = -1
    high: int = 0
    exact: float = 0.0
    biggest: float = 0.0
    children: list[int] = field(default_factory=list)


def specs_of(kind: pa.StructType) -> list[ColumnSpec]:
    """The columns of a struct, the struct first. Raises ``FormatError`` for types without JSON, and
    ``NotCompiled`` for those that only the twin reads."""
    specs: list[ColumnSpec] = []
    _add(specs, pa.field("", kind))
    return specs


class NotCompiled(Exception):
    """The kernel does not read this type: the twin does."""


def _add(specs: list[ColumnSpec], column: pa.Field) -> int:
    index = len(specs)
    specs.append(spec := _spec_of(column.type))
    spec.label, spec.name, spec.nullable = label_of(column.name)[1:], column.name.encode(), column.nullable
    spec.children = [_add(specs, child) for child in _children(column.type)]
    return index


def _children(kind: pa.DataType) -> list[pa.Field]:
    if t.is_struct(kind):
        return list(kind)
    if t.is_map(kind):
        entry = pa.struct([kind.key_field.with_name("key"), kind.item_field.with_name("value")])
        return [pa.field("", entry, nullable=False)]
    return [kind.value_field.with_name("")] if is_list(kind) else []


def _spec_of(kind: pa.DataType) -> ColumnSpec:
    if t.is_fixed_size_list(kind):
        raise NotCompiled
    if t.is_integer(kind):
        low, high = (-1, 2**kind.bit_width - 1)
        if t.is_signed_integer(kind):
            low, high = -(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1) - 1
            return ColumnSpec(SIGNED, low=low, high=high)
        return ColumnSpec(UNSIGNED, low=0, high=high)
    if t.is_floating(kind):
        return ColumnSpec(FLOAT, exact=_EXACT[kind.bit_width], biggest=_BIGGEST[kind.bit_width])
    if t.is_fixed_size_binary(kind):
        return ColumnSpec(BYTES, low=kind.byte_width)
    if t.is_timestamp(kind):
        return ColumnSpec(STAMP, digits=_DIGITS[kind.unit], zoned=kind.tz is not None)
    if t.is_time(kind):
        return ColumnSpec(CLOCK, digits=_DIGITS[kind.unit])
    for is_kind, number in _PLAIN:
        if is_kind(kind):
            return ColumnSpec(number, low=-(2**63) if number == SIGNED else -1, high=2**63 - 1)
    raise refuse_type("", kind)


_PLAIN: tuple[tuple[Callable[[pa.DataType], bool], int], ...] = (
    (t.is_null, NULLS),
    (t.is_boolean, BOOLEAN),
    (t.is_duration, SIGNED),
    (t.is_decimal, DECIMAL),
    (t.is_string, TEXT),
    (t.is_large_string, TEXT),
    (t.is_binary, BYTES),
    (t.is_large_binary, BYTES),
    (t.is_date, DAY),
    (t.is_struct, STRUCT),
    (t.is_map, LIST),
    (t.is_list, LIST),
    (t.is_large_list, LIST),
)


class Columns:
    """Takes the arrays out of a tree that was read. ``refused`` collects the rows whose numbers turned out not
    to fit when they were looked at exactly."""

    def __init__(self, tree: Any, specs: list[ColumnSpec]) -> None:
        self._tree = tree
        self._specs = specs
        self.refused: set[int] = set()

    def array(self, index: int, kind: pa.DataType) -> pa.Array:
        """The column at ``index`` with all below it."""
        count, _, hard = self._tree.sizes_of(index)
        spec = self._specs[index]
        if spec.kind == NULLS:
            return pa.nulls(count)
        valid = self._tree.buffer_of(index, "valid")
        if spec.kind == STRUCT:
            children = [self.array(child, f.type) for child, f in zip(spec.children, _children(kind), strict=True)]
            return pa.Array.from_buffers(kind, count, [valid], children=children)
        if spec.kind == LIST:
            offsets = self._offsets(index, count, wide=t.is_large_list(kind))
            entries = self.array(spec.children[0], _children(kind)[0].type)
            if t.is_map(kind):
                entries = pa.StructArray.from_arrays(entries.flatten(), fields=[kind.key_field, kind.item_field])
            return pa.Array.from_buffers(kind, count, [valid, offsets], children=[entries])
        if spec.kind in (TEXT, BYTES, DECIMAL):
            return self._text(index, count, kind, valid)
        return self._numbers(index, count, kind, valid, hard)

    def _offsets(self, index: int, count: int, wide: bool) -> pa.Buffer:
        buffer = self._tree.buffer_of(index, "offsets")
        return pa.py_buffer(np.frombuffer(buffer, np.int32, count + 1).astype(np.int64)) if wide else buffer

    def _text(self, index: int, count: int, kind: pa.DataType, valid: pa.Buffer) -> pa.Array:
        wide = t.is_large_string(kind) or t.is_large_binary(kind)
        plain = pa.string() if t.is_decimal(kind) else pa.binary() if t.is_fixed_size_binary(kind) else kind
        buffers = [valid, self._offsets(index, count, wide), self._tree.buffer_of(index, "values")]
        array = pa.Array.from_buffers(plain, count, buffers)
        if plain is kind:
            return array
        if t.is_fixed_size_binary(kind):
            return array.cast(kind)
        try:
            return array.cast(kind)
        except pa.ArrowInvalid:
            cast, bad = cast_each(array, kind)
            rows = np.frombuffer(self._tree.buffer_of(index, "rows"), np.int64, count)
            self.refused.update(rows[bad].tolist())
            return cast

    def _numbers(self, index: int, count: int, kind: pa.DataType, valid: pa.Buffer, hard: int) -> pa.Array:
        buffer = self._tree.buffer_of(index, "values")
        if t.is_boolean(kind):
            bits = np.packbits(np.frombuffer(buffer, np.uint8, count), bitorder="little")
            return pa.Array.from_buffers(kind, count, [valid, pa.py_buffer(bits)])
        if t.is_floating(kind):
            values = np.frombuffer(buffer, np.float64, count)
            if hard:
                values = self._with_exact(index, values, hard)
            if kind.bit_width < 64:
                values = values.astype(kind.to_pandas_dtype())
            return pa.Array.from_buffers(kind, count, [valid, pa.py_buffer(values)])
        values = np.frombuffer(buffer, np.int64, count)
        if t.is_date64(kind):
            values = values * _DAY_MS
        elif kind.bit_width < 64:
            values = values.astype(f"i{kind.bit_width // 8}")
        return pa.Array.from_buffers(kind, count, [valid, pa.py_buffer(values)])

    def _with_exact(self, index: int, values: np.ndarray, hard: int) -> np.ndarray:
        """Puts in the numbers that the kernel left as text."""
        take = self._tree.buffer_of
        texts = pa.Array.from_buffers(pa.string(), hard, [None, take(index, "hard_offsets"), take(index, "hard_text")])
        numbers = texts.cast(pa.float64()).to_numpy(zero_copy_only=False)
        places = np.frombuffer(take(index, "hard"), np.int64, 2 * hard).reshape(hard, 2)
        too_big = np.abs(numbers) > self._specs[index].biggest
        self.refused.update(places[too_big, 1].tolist())
        values = values.copy()
        values[places[:, 0]] = np.where(too_big, 0.0, numbers)
        return values
