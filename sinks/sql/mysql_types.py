"""MariaDB's and MySQL's column types: which one is made for a type, and what one that is there holds."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
from pyarrow import types as t

_MADE = {
    pa.bool_(): "tinyint(1)",
    pa.int8(): "tinyint",
    pa.int16(): "smallint",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.uint8(): "tinyint unsigned",
    pa.uint16(): "smallint unsigned",
    pa.uint32(): "int unsigned",
    pa.uint64(): "bigint unsigned",
    pa.float16(): "float",
    pa.float32(): "float",
    pa.float64(): "double",
}
_INTEGERS = {"tinyint": 8, "smallint": 16, "mediumint": 16, "int": 32, "bigint": 64}
_TEXTS = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext"}
_BYTES = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"}
_MOST_DIGITS, _MOST_SCALE = 65, 30
_KEY_LENGTH = 255
"""Of a text in a key: an index entry has at most 3072 bytes, and a character takes up to four."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A column as ``information_schema.columns`` tells it."""

    data_type: str
    column_type: str
    precision: int | None
    scale: int | None
    second_digits: int | None


def type_made(kind: pa.DataType, *, key: bool = False) -> str:
    """The type of a new column that holds every value of ``kind``, or the nearest that an index takes."""
    found = _MADE.get(kind)
    if found is not None:
        return found
    if t.is_decimal(kind) and kind.precision <= _MOST_DIGITS and 0 <= kind.scale <= _MOST_SCALE:
        return f"decimal({kind.precision},{kind.scale})"
    if t.is_date(kind):
        return "date"
    if t.is_time(kind):
        return "time(6)"
    if t.is_timestamp(kind):
        return "datetime(6)"
    if t.is_binary(kind) or t.is_large_binary(kind) or t.is_fixed_size_binary(kind):
        return f"varbinary({_KEY_LENGTH})" if key else "longblob"
    if t.is_nested(kind):
        return "json"
    return f"varchar({_KEY_LENGTH})" if key else "longtext"


def type_held(column: Declared) -> pa.DataType:
    """What is not one of Arrow's takes text, and the server judges it."""
    name = column.data_type
    if column.column_type.startswith("tinyint(1)"):
        return pa.int8()
    if name in _INTEGERS:
        return _integer(_INTEGERS[name], unsigned="unsigned" in column.column_type)
    if name == "float":
        return pa.float32()
    if name == "double":
        return pa.float64()
    if name == "decimal":
        digits, scale = int(column.precision or 10), int(column.scale or 0)
        return pa.decimal128(digits, scale) if digits <= 38 else pa.decimal256(digits, scale)
    if name in _BYTES:
        return pa.binary()
    return _time(name, column.second_digits)


def may_widen(held: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether every value of the first type is one of the second: floats take no large integers exactly."""
    if t.is_floating(wanted):
        return bool(t.is_floating(held))
    return bool(t.is_integer(wanted) or t.is_decimal(wanted))


def _integer(bits: int, *, unsigned: bool) -> pa.DataType:
    signs = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}
    plain = {8: pa.uint8(), 16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}
    return plain[bits] if unsigned else signs[bits]


def _time(name: str, digits: int | None) -> pa.DataType:
    """Of a column with fewer digits than a value has, the server would round: a coarser unit refuses instead."""
    unit = "us" if (digits or 0) >= 6 else "ms" if (digits or 0) >= 3 else "s"
    if name == "date":
        return pa.date32()
    if name == "datetime":
        return pa.timestamp(unit)
    if name == "timestamp":
        return pa.timestamp(unit, tz="UTC")
    return pa.string()
