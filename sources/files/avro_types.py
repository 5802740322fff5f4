"""Avro schemas as Arrow types. What has no column type of its own is named in an ``Unreadable``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from ingest.sources.files.pieces import Unreadable

_PLAIN = {
    "null": pa.null(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bytes": pa.binary(),
    "string": pa.string(),
    "enum": pa.string(),
}
_LOGICAL: dict[str, pa.DataType] = {
    "date": pa.date32(),
    "time-millis": pa.time32("ms"),
    "time-micros": pa.time64("us"),
    "timestamp-millis": pa.timestamp("ms", tz="UTC"),
    "timestamp-micros": pa.timestamp("us", tz="UTC"),
    "local-timestamp-millis": pa.timestamp("ms"),
    "local-timestamp-micros": pa.timestamp("us"),
}


def arrow_type(declared: Any, named: dict[str, Any] | None = None, path: str = "") -> pa.DataType:
    """``named`` are the types that were declared before, by their names; a type inside itself has no end."""
    named = {} if named is None else named
    if isinstance(declared, str):
        return _by_name(declared, named, path)
    if isinstance(declared, list):
        return _of_union(declared, named, path)
    kind = declared["type"]
    if isinstance(kind, dict | list):
        return arrow_type(kind, named, path)
    return _of_declaration(kind, declared, named, path)


def _by_name(name: str, named: dict[str, Any], path: str) -> pa.DataType:
    if name in _PLAIN:
        return _PLAIN[name]
    found = named.get(name, named.get(name.rpartition(".")[2]))
    if found is None:
        raise Unreadable(f"{path or 'the value'}: the type {name} holds itself, or is not declared")
    return found


def _of_union(branches: list[Any], named: dict[str, Any], path: str) -> pa.DataType:
    kinds = [branch for branch in branches if branch != "null"]
    if len(kinds) > 1:
        raise Unreadable(f"{path or 'the value'}: a union of several types has no column type")
    return arrow_type(kinds[0], named, path) if kinds else pa.null()


def _of_declaration(kind: str, declared: Mapping[str, Any], named: dict[str, Any], path: str) -> pa.DataType:
    logical = declared.get("logicalType")
    if logical == "decimal" and kind in ("bytes", "fixed"):
        made = _decimal(int(declared["precision"]), int(declared.get("scale", 0)), path)
    elif logical in _LOGICAL:
        made = _LOGICAL[logical]
    else:
        made = _NESTED[kind](declared, named, path) if kind in _NESTED else _by_name(kind, named, path)
    if "name" in declared:
        named[declared["name"]] = made
    return made


def _decimal(precision: int, scale: int, path: str) -> pa.DataType:
    if precision > 76:
        raise Unreadable(f"{path}: a decimal of {precision} digits has no column type")
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


def _record(declared: Mapping[str, Any], named: dict[str, Any], path: str) -> pa.DataType:
    fields = declared["fields"]
    return pa.struct([(field["name"], arrow_type(field["type"], named, f"{path}.{field['name']}")) for field in fields])


_NESTED: dict[str, Callable[[Mapping[str, Any], dict[str, Any], str], pa.DataType]] = {
    "record": _record,
    "error": _record,
    "array": lambda declared, named, path: pa.list_(arrow_type(declared["items"], named, f"{path}[]")),
    "map": lambda declared, named, path: pa.map_(pa.string(), arrow_type(declared["values"], named, f"{path}[]")),
    "fixed": lambda declared, named, path: pa.binary(int(declared["size"])),
}
