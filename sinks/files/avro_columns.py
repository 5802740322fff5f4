"""Columns to Avro's binary form, column by column: the bytes of each value, then those of a row joined.

``ingest.formats.avro_binary`` writes one value at a time and is what this is held against. The mapping of types
is that of ``ingest.formats.avro_schema``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as t

from ingest.formats.widening import is_list

_DAY_MS = 86_400_000
_NULL, _VALUE, _END = (pa.scalar(mark, pa.binary()) for mark in (b"\x00", b"\x02", b"\x00"))


def avro_rows(batch: pa.RecordBatch) -> pa.Array:
    """The bytes of each row. Raises ``pa.ArrowInvalid`` if a value does not fit Avro's type."""
    return _record(
        [_field(field, column) for field, column in zip(batch.schema, batch.columns, strict=True)], len(batch)
    )


def varints(numbers: np.ndarray) -> pa.Array:
    """Each number zigzag, seven bits a byte."""
    signed = numbers.astype(np.int64)
    zigzag = ((signed << 1) ^ (signed >> 63)).view(np.uint64)
    lengths = np.ones(len(zigzag), np.int32)
    bits = 7
    while bits < 64 and (longer := zigzag >= np.uint64(1 << bits)).any():
        lengths += longer
        bits += 7
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    data = np.empty(ends[-1], np.uint8)
    for index in range(bits // 7):
        rows = np.flatnonzero(lengths > index)
        low = (zigzag[rows] >> np.uint64(7 * index)).astype(np.uint8) & 0x7F
        data[ends[rows] + index] = low | np.where(lengths[rows] > index + 1, 0x80, 0).astype(np.uint8)
    return pa.Array.from_buffers(pa.binary(), len(zigzag), [None, pa.py_buffer(ends), pa.py_buffer(data)])


def _field(field: pa.Field, column: pa.Array) -> pa.Array:
    """A union with null where the column may hold null."""
    if not field.nullable or t.is_null(field.type):
        return _values(column)
    if not column.null_count:
        return _joined([_VALUE, _values(column)])
    encoded = _joined([_VALUE, _values(_filled(column))])
    return pc.if_else(column.is_valid(), encoded, _NULL)


def _values(column: pa.Array) -> pa.Array:
    """The bytes of each value; none is null."""
    kind = column.type
    if t.is_struct(kind):
        return _record([_field(field, column.field(index)) for index, field in enumerate(kind)], len(column))
    if t.is_map(kind):
        return _map(column)
    if is_list(kind):
        items = _field(kind.value_field, column.flatten())
        return _array(column.value_lengths().to_numpy(zero_copy_only=False), items)
    return next(encode(column) for is_kind, encode in _LEAVES if is_kind(kind))


def _record(fields: list[pa.Array], count: int) -> pa.Array:
    return _joined(fields) if fields else pa.array([b""] * count, pa.binary())


def _map(column: pa.MapArray) -> pa.Array:
    lists = [pa.ListArray.from_arrays(column.offsets, children).flatten() for children in (column.keys, column.items)]
    kind = column.type
    pairs = _record([_field(kind.key_field, lists[0]), _field(kind.item_field, lists[1])], len(lists[0]))
    return _array(np.diff(column.offsets.to_numpy()), pairs)


def _array(lengths: np.ndarray, items: pa.Array) -> pa.Array:
    """One block of all items, and the end; an empty array is its end alone."""
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    content = pc.binary_join(pa.LargeListArray.from_arrays(pa.array(ends), items), pa.scalar(b"", pa.binary()))
    return pc.if_else(pa.array(lengths > 0), _joined([varints(lengths), content, _END]), _END)


def _joined(parts: list[pa.Array]) -> pa.Array:
    return pc.binary_join_element_wise(*parts, pa.scalar(b"", pa.binary())) if len(parts) > 1 else parts[0]


def _filled(column: pa.Array) -> pa.Array:
    """The same values, and some valid one in each place of null."""
    kind = column.type
    if t.is_struct(kind):
        children = [column.field(index) for index in range(kind.num_fields)]
        filled = [child if field.nullable else _filled(child) for child, field in zip(children, kind, strict=True)]
        return pa.StructArray.from_arrays(filled, fields=list(kind))
    rows = column.drop_null()
    if not len(rows):
        return pa.array([_any_value(kind)], kind).take(pa.array(np.zeros(len(column), np.int64)))
    indices = np.cumsum(column.is_valid().to_numpy(zero_copy_only=False)) - 1
    return rows.take(pa.array(np.maximum(indices, 0)))


def _any_value(kind: pa.DataType) -> object:
    if t.is_nested(kind):
        return []
    if t.is_fixed_size_binary(kind):
        return bytes(kind.byte_width)
    texts = t.is_string(kind) or t.is_large_string(kind)
    return "" if texts else b"" if t.is_binary(kind) or t.is_large_binary(kind) else 0


def _bytes(column: pa.Array) -> pa.Array:
    values = column.cast(pa.binary())
    ends = np.frombuffer(values.buffers()[1], np.int32)[values.offset : values.offset + len(values) + 1]
    return _joined([varints(np.diff(ends)), values])


def _whole(column: pa.Array) -> pa.Array:
    return varints(column.cast(pa.int64()).to_numpy(zero_copy_only=False))


def _counts(column: pa.Array) -> pa.Array:
    """Times as the numbers that they are."""
    width = pa.int32() if t.is_date32(column.type) or t.is_time32(column.type) else pa.int64()
    return varints(column.view(width).to_numpy(zero_copy_only=False))


def _scaled(column: pa.Array) -> pa.Array:
    """Seconds as milliseconds: Avro has none."""
    wide = column.view(pa.int32() if t.is_time32(column.type) else pa.int64()).cast(pa.int64())
    return varints(pc.multiply_checked(wide, 1000).to_numpy(zero_copy_only=False))


def _days(column: pa.Array) -> pa.Array:
    """A date64 counts milliseconds, of whole days only."""
    milliseconds = column.view(pa.int64()).to_numpy(zero_copy_only=False)
    days, rest = np.divmod(milliseconds, _DAY_MS)
    if rest.any() or np.abs(days).max(initial=0) > np.iinfo(np.int32).max:
        raise pa.ArrowInvalid("a date64 that is no whole day")
    return varints(days)


def _fixed(data: np.ndarray) -> pa.Array:
    """A row of bytes for each value."""
    count, width = data.shape
    ends = np.arange(count + 1, dtype=np.int32) * width
    content = pa.py_buffer(np.ascontiguousarray(data))
    return pa.Array.from_buffers(pa.binary(), count, [None, pa.py_buffer(ends), content])


def _numbers(column: pa.Array, kind: str) -> pa.Array:
    values = column.to_numpy(zero_copy_only=False).astype(kind)
    return _fixed(values.view(np.uint8).reshape(len(values), values.itemsize))


def _decimal(column: pa.Array) -> pa.Array:
    """Two's complement, the highest byte first, in the width of the column's own type."""
    width = column.type.byte_width
    raw = np.frombuffer(column.buffers()[1], np.uint8)[column.offset * width : (column.offset + len(column)) * width]
    return _sized(raw.reshape(len(column), width)[:, ::-1])


def _unsigned(column: pa.Array) -> pa.Array:
    """As a decimal of 20 digits: a byte more, for there is no sign."""
    values = column.to_numpy(zero_copy_only=False).astype(">u8").view(np.uint8).reshape(-1, 8)
    return _sized(np.hstack([np.zeros((len(values), 1), np.uint8), values]))


def _sized(data: np.ndarray) -> pa.Array:
    size = np.full((len(data), 1), data.shape[1] << 1, np.uint8)
    return _fixed(np.hstack([size, data]))


def _boolean(column: pa.Array) -> pa.Array:
    return _fixed(column.cast(pa.uint8()).to_numpy(zero_copy_only=False).reshape(-1, 1))


def _nothing(column: pa.Array) -> pa.Array:
    return pa.array([b""], pa.binary()).take(pa.array(np.zeros(len(column), np.int64)))


_LEAVES: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], pa.Array]], ...] = (
    (t.is_null, _nothing),
    (t.is_boolean, _boolean),
    (t.is_uint64, _unsigned),
    (t.is_decimal, _decimal),
    (t.is_integer, _whole),
    (t.is_float64, lambda column: _numbers(column, "<f8")),
    (t.is_floating, lambda column: _numbers(column, "<f4")),
    (t.is_fixed_size_binary, lambda column: column.cast(pa.binary())),
    (lambda kind: t.is_binary(kind) or t.is_string(kind), _bytes),
    (lambda kind: t.is_large_binary(kind) or t.is_large_string(kind), _bytes),
    (t.is_date64, _days),
    (lambda kind: (t.is_timestamp(kind) or t.is_time32(kind)) and kind.unit == "s", _scaled),
    (t.is_temporal, _counts),
)
