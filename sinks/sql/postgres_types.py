"""PostgreSQL's column types: which one is made for a type, and what one that is there holds."""

from __future__ import annotations

import pyarrow as pa
from pyarrow import types as t

_MADE = {
    pa.bool_(): "boolean",
    pa.int8(): "smallint",
    pa.int16(): "smallint",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.uint8(): "smallint",
    pa.uint16(): "integer",
    pa.uint32(): "bigint",
    pa.uint64(): "numeric(20,0)",
    pa.float16(): "real",
    pa.float32(): "real",
    pa.float64(): "double precision",
}
_HELD = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "bytea": pa.binary(),
    "date": pa.date32(),
}
_WIDER = {"int2": {"int4", "int8"}, "int4": {"int8"}, "float4": {"float8"}}


def type_made(kind: pa.DataType) -> str:
    """The type of a new column that holds every value of ``kind``."""
    found = _MADE.get(kind)
    if found is not None:
        return found
    if t.is_decimal(kind):
        return f"numeric({kind.precision},{kind.scale})" if kind.scale >= 0 else "numeric"
    if t.is_timestamp(kind):
        return "timestamp without time zone" if kind.tz is None else "timestamp with time zone"
    return _other(kind)


def _other(kind: pa.DataType) -> str:
    if t.is_date(kind):
        return "date"
    if t.is_time(kind):
        return "time"
    if t.is_binary(kind) or t.is_large_binary(kind) or t.is_fixed_size_binary(kind):
        return "bytea"
    return "jsonb" if t.is_nested(kind) else "text"


def type_held(name: str, modifier: int) -> pa.DataType:
    """By the catalogue's name and modifier. What is not one of Arrow's takes text, and the server judges it."""
    if name in _HELD:
        return _HELD[name]
    if name == "numeric" and modifier >= 4:
        return _decimal(modifier)
    if name in ("timestamp", "timestamptz"):
        return pa.timestamp(_unit(modifier), tz="UTC" if name == "timestamptz" else None)
    if name == "time":
        return pa.time64("us") if _unit(modifier) == "us" else pa.time32(_unit(modifier))
    return pa.string()


def _decimal(modifier: int) -> pa.DataType:
    precision = (modifier - 4) >> 16
    scale = (((modifier - 4) & 0x7FF) ^ 1024) - 1024
    if not 0 <= scale <= precision or precision > 76:
        return pa.string()
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


def _unit(modifier: int) -> str:
    """Of a column with fewer digits than it could have, the server would round: a coarser unit refuses instead."""
    if modifier < 0 or modifier >= 6:
        return "us"
    return "ms" if modifier >= 3 else "s"


def may_widen(name: str, wanted: str) -> bool:
    """Whether every value of the first type (as the catalogue names it) is one of the second (as it is made)."""
    if wanted.startswith("numeric"):
        return name in ("int2", "int4", "int8", "numeric")
    catalogue = {"integer": "int4", "bigint": "int8", "double precision": "float8"}
    return catalogue.get(wanted) in _WIDER.get(name, set())
