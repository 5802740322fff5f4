"""Avro's binary encoding of one value of an Arrow type: writers and readers, made once per type.

Readers trust no length: each is held against what is left of the value before anything is allocated.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
from pyarrow import types as t

from ingest.formats.widening import is_list

Write = Callable[[Any, bytearray], None]
Read = Callable[["Cursor"], Any]
_FLOAT, _DOUBLE = struct.Struct("<f"), struct.Struct("<d")
_MAX_EMPTY_ITEMS = 1 << 20
_DAY_MS = 86_400_000


class NotAvro(ValueError):
    """The bytes are not a value of the type, or the value does not fit Avro's; the message is the reason."""


class Cursor:
    """Where a reader stands in the bytes of one value."""

    __slots__ = ("at", "data", "elements")

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at, self.elements = data, at, 0

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def take(self, size: int) -> bytes:
        if size < 0 or size > self.left:
            raise NotAvro(f"{size} bytes are announced at byte {self.at}, and {self.left} are left")
        self.at += size
        return self.data[self.at - size : self.at]

    def announce(self, elements: int) -> None:
        """Elements may have no bytes at all (null), so what is left does not bound their number alone."""
        self.elements += elements
        if self.elements > len(self.data) + _MAX_EMPTY_ITEMS:
            raise NotAvro(f"{elements} elements are announced at byte {self.at}, and {self.left} bytes are left")

    def long(self) -> int:
        number = shift = 0
        data = self.data
        for at in range(self.at, min(self.at + 10, len(data))):
            byte = data[at]
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        else:
            raise NotAvro(f"no number of at most 64 bits at byte {self.at}")
        value = (number >> 1) ^ -(number & 1)
        if number >= 2**64:
            raise NotAvro(f"no number of at most 64 bits at byte {self.at}")
        self.at = at + 1
        return value


def put_long(value: int, out: bytearray) -> None:
    """Zigzag, seven bits a byte."""
    number = (value << 1) ^ (value >> 63)
    while number > 0x7F:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    out.append(number)


def writer(field: pa.Field) -> Write:
    """For one column or element: a union with null where it may be null."""
    write = _writer(field.type)
    if not field.nullable or t.is_null(field.type):
        return write

    def nullable(value: Any, out: bytearray) -> None:
        if value is None:
            out.append(0)
        else:
            out.append(2)
            write(value, out)

    return nullable


def reader(field: pa.Field) -> Read:
    """The inverse of ``writer``."""
    read = _reader(field.type)
    if not field.nullable or t.is_null(field.type):
        return read

    def nullable(cursor: Cursor) -> Any:
        branch = cursor.long()
        if branch not in (0, 1):
            raise NotAvro(f"branch {branch} of a union of two at byte {cursor.at}")
        return read(cursor) if branch else None

    return nullable


def _pair(kind: pa.MapType) -> pa.Field:
    return pa.field("pair", pa.struct([kind.key_field.with_name("key"), kind.item_field.with_name("value")]), False)


def _writer(kind: pa.DataType) -> Write:
    if t.is_struct(kind):
        return _record_writer(kind)
    if t.is_map(kind):
        write_pairs = _array_writer(_pair(kind))
        return lambda pairs, out: write_pairs([{"key": key, "value": value} for key, value in pairs], out)
    if is_list(kind):
        return _array_writer(kind.value_field)
    return next(make(kind) for is_kind, make in _WRITERS if is_kind(kind))


def _record_writer(kind: pa.StructType) -> Write:
    fields = [(field.name, writer(field)) for field in kind]

    def write(value: dict[str, Any], out: bytearray) -> None:
        for name, write_field in fields:
            write_field(value[name], out)

    return write


def _array_writer(item: pa.Field) -> Write:
    write_item = writer(item)

    def write(items: list[Any], out: bytearray) -> None:
        if items:
            put_long(len(items), out)
            for each in items:
                write_item(each, out)
        out.append(0)

    return write


def _put_bytes(value: bytes, out: bytearray) -> None:
    put_long(len(value), out)
    out += value


def _put_text(value: bytes, out: bytearray) -> None:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        raise NotAvro("a text that is not UTF-8") from None
    _put_bytes(value, out)


def _decimal_writer(kind: pa.DataType) -> Write:
    scale = 0 if t.is_uint64(kind) else kind.scale

    def write(value: Any, out: bytearray) -> None:
        sign, digits, exponent = Decimal(value).as_tuple()
        unscaled = int("".join(map(str, digits))) * 10 ** (int(exponent) + scale) * (-1 if sign else 1)
        _put_bytes(unscaled.to_bytes(unscaled.bit_length() // 8 + 1, "big", signed=True), out)

    return write


def _scaled_writer(kind: pa.DataType) -> Write:
    """Seconds as milliseconds, and a date64 as days: Avro has no such units."""
    times, by = (1, _DAY_MS) if t.is_date64(kind) else (1000, 1) if kind.unit == "s" else (1, 1)

    def write(value: int, out: bytearray) -> None:
        count, rest = divmod(value * times, by)
        if rest or not -(2**63) <= count < 2**63:
            raise NotAvro(f"{value} does not fit {kind} in Avro")
        put_long(count, out)

    return write


_WRITERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType], Write]], ...] = (
    (t.is_null, lambda kind: lambda value, out: None),
    (t.is_boolean, lambda kind: lambda value, out: out.append(bool(value))),
    (lambda kind: t.is_uint64(kind) or t.is_decimal(kind), _decimal_writer),
    (t.is_integer, lambda kind: put_long),
    (t.is_float64, lambda kind: lambda value, out: out.extend(_DOUBLE.pack(value))),
    (t.is_floating, lambda kind: lambda value, out: out.extend(_FLOAT.pack(value))),
    (lambda kind: t.is_string(kind) or t.is_large_string(kind), lambda kind: _put_text),
    (t.is_fixed_size_binary, lambda kind: lambda value, out: out.extend(value)),
    (lambda kind: t.is_binary(kind) or t.is_large_binary(kind), lambda kind: _put_bytes),
    (lambda kind: t.is_date32(kind) or t.is_duration(kind), lambda kind: put_long),
    (t.is_temporal, _scaled_writer),
)


def _reader(kind: pa.DataType) -> Read:
    if t.is_struct(kind):
        fields = [(field.name, reader(field)) for field in kind]
        return lambda cursor: {name: read(cursor) for name, read in fields}
    if t.is_map(kind):
        read_pairs = _array_reader(_pair(kind))
        return lambda cursor: [(pair["key"], pair["value"]) for pair in read_pairs(cursor)]
    if is_list(kind):
        return _array_reader(kind.value_field)
    return next(make(kind) for is_kind, make in _READERS if is_kind(kind))


def _array_reader(item: pa.Field) -> Read:
    read_item = reader(item)

    def read(cursor: Cursor) -> list[Any]:
        found: list[Any] = []
        while count := cursor.long():
            if count < 0:
                count, _ = -count, cursor.long()
            cursor.announce(count)
            found.extend(read_item(cursor) for _ in range(count))
        return found

    return read


def _boolean(cursor: Cursor) -> bool:
    byte = cursor.take(1)[0]
    if byte > 1:
        raise NotAvro(f"{byte} is neither true nor false at byte {cursor.at}")
    return byte == 1


def _integer_reader(kind: pa.DataType) -> Read:
    low, high = 0, 2**kind.bit_width - 1
    if not t.is_unsigned_integer(kind):
        low, high = -(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1) - 1

    def read(cursor: Cursor) -> int:
        value = cursor.long()
        if not low <= value <= high:
            raise NotAvro(f"{value} is beyond {kind} at byte {cursor.at}")
        return value

    return read


def _text(cursor: Cursor) -> str:
    try:
        return cursor.take(cursor.long()).decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotAvro(f"a text that is not UTF-8 before byte {cursor.at}: {error.reason}") from None


def _decimal_reader(kind: pa.DataType) -> Read:
    precision, scale = (20, 0) if t.is_uint64(kind) else (kind.precision, kind.scale)
    low, high = (0, 2**64 - 1) if t.is_uint64(kind) else (1 - 10**precision, 10**precision - 1)

    def read(cursor: Cursor) -> Any:
        unscaled = int.from_bytes(cursor.take(cursor.long()), "big", signed=True)
        if not low <= unscaled <= high:
            raise NotAvro(f"a number beyond {kind} before byte {cursor.at}")
        if t.is_uint64(kind):
            return unscaled
        return Decimal((unscaled < 0, tuple(map(int, str(abs(unscaled)))), -scale))

    return read


def _scaled_reader(kind: pa.DataType) -> Read:
    times, by = (_DAY_MS, 1) if t.is_date64(kind) else (1, 1000) if kind.unit == "s" else (1, 1)
    bits = 31 if t.is_time32(kind) else 63

    def read(cursor: Cursor) -> int:
        count, rest = divmod(cursor.long() * times, by)
        if rest or not -(2**bits) <= count < 2**bits:
            raise NotAvro(f"a time that {kind} does not hold before byte {cursor.at}")
        return count

    return read


def _float16(cursor: Cursor) -> Any:
    import numpy as np

    return np.float16(_FLOAT.unpack(cursor.take(4))[0])


_READERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType], Read]], ...] = (
    (t.is_null, lambda kind: lambda cursor: None),
    (t.is_boolean, lambda kind: _boolean),
    (lambda kind: t.is_uint64(kind) or t.is_decimal(kind), _decimal_reader),
    (t.is_integer, _integer_reader),
    (t.is_float64, lambda kind: lambda cursor: _DOUBLE.unpack(cursor.take(8))[0]),
    (t.is_float16, lambda kind: _float16),
    (t.is_floating, lambda kind: lambda cursor: _FLOAT.unpack(cursor.take(4))[0]),
    (lambda kind: t.is_string(kind) or t.is_large_string(kind), lambda kind: _text),
    (t.is_fixed_size_binary, lambda kind: lambda cursor: cursor.take(kind.byte_width)),
    (lambda kind: t.is_binary(kind) or t.is_large_binary(kind), lambda kind: lambda cursor: cursor.take(cursor.long())),
    (t.is_date32, lambda kind: _integer_reader(pa.int32())),
    (t.is_duration, lambda kind: _integer_reader(pa.int64())),
    (t.is_temporal, _scaled_reader),
)
