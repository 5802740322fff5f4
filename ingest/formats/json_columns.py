"""Arrow columns as the compiled JSON writer sees them: a flat tree of buffer addresses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as t

from ingest.formats.json_twin import label_of, refuse_type
from ingest.formats.widening import below, is_list

NULLS, BOOLEAN, SIGNED, UNSIGNED, FLOAT, RAW, TEXT, BYTES, STAMP, DAY, CLOCK, LIST, STRUCT = range(13)
DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}


@dataclass(slots=True)
class ColumnSpec:
    """One ``Column`` of ``_json_writer``; addresses are 0 where there is no such buffer."""

    kind: int
    label: bytes = b""
    offset: int = 0
    validity: int = 0
    data: int = 0
    offsets: int = 0
    texts: int = 0
    width: int = 0
    wide: bool = False
    digits: int = 0
    zoned: bool = False
    children: list[int] = field(default_factory=list)


class ColumnTree:
    """``specs`` of a struct array, the struct first; ``owners`` must live as long as they are used."""

    def __init__(self, value: pa.StructArray, mark_simple: Any) -> None:
        self.specs: list[ColumnSpec] = []
        self.owners: list[Any] = []
        self._mark_simple = mark_simple
        self._add(value, "", "")

    def _add(self, array: pa.Array, name: str, path: str) -> int:
        """Appends the column and all below it; returns where it stands."""
        index = len(self.specs)
        self.specs.append(ColumnSpec(NULLS))
        spec = self._nested(array, path) or self._leaf(array, path)
        spec.label = label_of(name)
        self.specs[index] = spec
        return index

    def _nested(self, array: pa.Array, path: str) -> ColumnSpec | None:
        if t.is_struct(array.type):
            names = [item.name for item in array.type]
            # Children are cut to the struct's own slots, which then count from 0.
            spec = self._buffers(array, STRUCT)
            below_it = [array.field(position) for position in range(len(names))]
            spec.children = [
                self._add(child, name, below(path, name)) for child, name in zip(below_it, names, strict=True)
            ]
            return spec
        if not (t.is_map(array.type) or is_list(array.type)):
            return None
        if t.is_fixed_size_list(array.type):
            array = _as_list(array)
        spec = self._buffers(array, LIST)
        values = _entries(array) if t.is_map(array.type) else array.values
        spec.children = [self._add(values, "", f"{path}[]")]
        return spec

    def _leaf(self, array: pa.Array, path: str) -> ColumnSpec:
        kind = array.type
        if t.is_null(kind):
            return ColumnSpec(NULLS)
        if t.is_boolean(kind):
            return self._buffers(array, BOOLEAN)
        if t.is_integer(kind) or t.is_duration(kind):
            return self._buffers(array, UNSIGNED if t.is_unsigned_integer(kind) else SIGNED)
        if t.is_floating(kind):
            return self._float(array)
        if t.is_decimal(kind):
            return self._buffers(array.cast(pa.string()), RAW)
        if t.is_string(kind) or t.is_large_string(kind):
            return self._buffers(array, TEXT)
        if t.is_binary(kind) or t.is_large_binary(kind):
            return self._buffers(array, BYTES)
        if t.is_fixed_size_binary(kind):
            return self._buffers(array.cast(pa.large_binary()), BYTES)
        return self._time(array, path)

    def _time(self, array: pa.Array, path: str) -> ColumnSpec:
        kind = array.type
        if t.is_timestamp(kind) or t.is_time(kind):
            spec = self._buffers(array, STAMP if t.is_timestamp(kind) else CLOCK)
            spec.digits = DIGITS[kind.unit]
            spec.zoned = t.is_timestamp(kind) and kind.tz is not None
            return spec
        if t.is_date(kind):
            return self._buffers(array.cast(pa.date32()), DAY)
        raise refuse_type(path, kind)

    def _float(self, array: pa.Array) -> ColumnSpec:
        """Doubles, and beside them the texts of those that the kernel does not write by itself."""
        doubles = array.cast(pa.float64()) if array.null_count == 0 else array.cast(pa.float64()).fill_null(0.0)
        values = np.ascontiguousarray(doubles.to_numpy(zero_copy_only=False))
        simple = np.empty(len(values), dtype=np.uint8)
        self._mark_simple(values, simple)
        texts = pc.if_else(pa.array(simple.view(bool)), None, doubles).cast(pa.string())
        spec = ColumnSpec(FLOAT, width=8, data=values.ctypes.data)
        _, offsets, text = texts.buffers()
        assert texts.offset == 0
        spec.offsets, spec.texts = offsets.address, text.address if text is not None else 0
        valid = np.packbits(array.is_valid().to_numpy(zero_copy_only=False), bitorder="little")
        spec.validity = valid.ctypes.data if array.null_count else 0
        self.owners += [values, texts, valid]
        return spec

    def _buffers(self, array: pa.Array, kind: int) -> ColumnSpec:
        self.owners.append(array)
        buffers = array.buffers()
        spec = ColumnSpec(kind, offset=array.offset)
        if not len(array):
            return spec
        if array.null_count and buffers[0] is not None:
            spec.validity = buffers[0].address
        if kind == STRUCT:
            return spec
        if kind in (TEXT, BYTES, RAW, LIST):
            spec.wide = t.is_large_string(array.type) or t.is_large_binary(array.type) or t.is_large_list(array.type)
            spec.offsets = buffers[1].address
            if kind != LIST:
                spec.data = buffers[2].address if buffers[2] is not None else 0
            return spec
        spec.width = array.type.bit_width // 8
        spec.data = buffers[1].address
        return spec


def _entries(array: pa.MapArray) -> pa.StructArray:
    """All pairs that the map's offsets point into, by the names that JSON gives them."""
    return pa.StructArray.from_arrays([array.keys, array.items], names=["key", "value"])


def _as_list(array: pa.FixedSizeListArray) -> pa.ListArray:
    """The same lists with offsets; they point into all values, whatever the slice."""
    size = array.type.list_size
    offsets = (array.offset + np.arange(len(array) + 1)) * size
    mask = array.is_null() if array.null_count else None
    return pa.LargeListArray.from_arrays(pa.array(offsets), array.values, mask=mask)
