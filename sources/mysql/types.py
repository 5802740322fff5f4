"""What each type of MariaDB and MySQL becomes.

docs/guides/database-types.md is this table in words.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from ingest.sources.databases.tables import ColumnInfo
from ingest.sources.mysql import result_rows_twin as kinds
from ingest.sources.mysql.columns import Decoded
from ingest.sources.mysql.result_rows import ResultColumn

DECIMAL, TINY, SHORT, LONG, FLOAT, DOUBLE, NULL, TIMESTAMP, LONGLONG, INT24, DATE, TIME, DATETIME, YEAR = range(14)
BIT, JSON, NEWDECIMAL, GEOMETRY = 16, 245, 246, 255
"""Numbers of the protocol, which the binlog uses as well."""

UTC = pa.timestamp("us", tz="UTC")
MOMENT = pa.timestamp("us")
CLOCK = pa.time64("us")
_BINARY_CHARSET = 63
_UNSIGNED = 0x20
_MOST_DIGITS, _MOST_DIGITS_256 = 38, 76

_INTEGERS = {
    TINY: (kinds.FIXED1, pa.int8(), pa.uint8()),
    SHORT: (kinds.FIXED2, pa.int16(), pa.uint16()),
    LONG: (kinds.FIXED4, pa.int32(), pa.uint32()),
    INT24: (kinds.FIXED4, pa.int32(), pa.uint32()),
    LONGLONG: (kinds.FIXED8, pa.int64(), pa.uint64()),
}
_OTHERS = {
    FLOAT: (kinds.FIXED4, pa.float32()),
    DOUBLE: (kinds.FIXED8, pa.float64()),
    YEAR: (kinds.FIXED2, pa.int16()),
    DATE: (kinds.DATE, pa.date32()),
    TIME: (kinds.TIME, CLOCK),
    DATETIME: (kinds.DATETIME, MOMENT),
    TIMESTAMP: (kinds.DATETIME, UTC),
    NULL: (kinds.NULLS, pa.null()),
    JSON: (kinds.TEXT, pa.string()),
    GEOMETRY: (kinds.BYTES, pa.binary()),
}


@dataclass(frozen=True, slots=True)
class Definition:
    """What the server says of a column of a result."""

    name: str
    type: int
    charset: int
    length: int
    flags: int
    decimals: int


def integer(code: int, *, unsigned: bool) -> pa.DataType:
    """The type of an integer column."""
    return _INTEGERS[code][2 if unsigned else 1]


def decimal(precision: int, scale: int) -> pa.DataType:
    """The type of a decimal column."""
    if precision > _MOST_DIGITS:
        return pa.decimal256(min(precision, _MOST_DIGITS_256), scale)
    return pa.decimal128(precision, scale)


def result_column(definition: Definition, expression: str, database_type: str) -> ResultColumn:
    """How a column of a result is read; ``database_type`` is for people."""
    kind, decoded = _read_as(definition)
    info = ColumnInfo(definition.name, database_type, decoded.type, expression)
    return ResultColumn(info, kind, decoded)


def _read_as(definition: Definition) -> tuple[int, Decoded]:
    code = definition.type
    if code in _INTEGERS:
        return _INTEGERS[code][0], Decoded(integer(code, unsigned=bool(definition.flags & _UNSIGNED)))
    if code in _OTHERS:
        kind, arrow = _OTHERS[code]
        return kind, Decoded(arrow)
    if code in (DECIMAL, NEWDECIMAL):
        return _decimal(definition)
    if code == BIT:
        return kinds.BIT, Decoded(pa.string(), bits=definition.length)
    if definition.charset == _BINARY_CHARSET:
        return kinds.BYTES, Decoded(pa.binary())
    return kinds.TEXT, Decoded(pa.string())


def _decimal(definition: Definition) -> tuple[int, Decoded]:
    """The server tells how many characters a value has at most: digits, a point, a sign."""
    scale = definition.decimals
    precision = definition.length - (scale > 0) - (not definition.flags & _UNSIGNED)
    decoded = Decoded(decimal(max(1, precision, scale), scale), scale)
    return (kinds.DECIMAL if precision <= _MOST_DIGITS else kinds.TEXT), decoded
