"""Arrow schemas as Avro schemas, and the writers' schemas that an ``avro`` topic's schema carries with it.

The Avro schema follows from the Arrow schema alone, so that the topic's history is all that a reader needs.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
from pyarrow import types as t

from ingest.errors import FormatError
from ingest.formats.widening import below, is_list

_ID, _WRITERS = b"ingest.schema.id", b"ingest.schemas"
_STAMPS = {"s": "millis", "ms": "millis", "us": "micros", "ns": "nanos"}


def avro_schema(schema: pa.Schema, name: str = "Value") -> dict[str, Any]:
    """What a registry would hold. Names that Avro does not allow are changed and kept as ``ingest.name``.

    Raises ``FormatError`` for types that Avro does not have.
    """
    return _record(list(schema), name, "")


def with_writers(schema: pa.Schema, number: int, writers: Mapping[int, pa.Schema]) -> pa.Schema:
    """The schema with its number in the hub and all that its topic's records may have been written by."""
    texts = {str(key): _as_text(writer) for key, writer in {**writers, number: schema}.items()}
    return schema.with_metadata({_ID: str(number).encode(), _WRITERS: json.dumps(texts).encode()})


def writers_of(schema: pa.Schema | None) -> tuple[int | None, dict[int, pa.Schema]]:
    """What ``with_writers`` put in: the schema's own number, and all by theirs."""
    metadata = schema.metadata if schema is not None else None
    if not metadata or _ID not in metadata:
        return None, {}
    texts: dict[str, str] = json.loads(metadata[_WRITERS])
    return int(metadata[_ID]), {int(key): _from_text(text) for key, text in texts.items()}


def _as_text(schema: pa.Schema) -> str:
    return base64.b64encode(schema.remove_metadata().serialize()).decode("ascii")


def _from_text(text: str) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))


def _record(fields: list[pa.Field], name: str, path: str) -> dict[str, Any]:
    taken: set[str] = set()
    found = []
    for field in fields:
        plain = _allowed(field.name, taken)
        kind = _type(field.type, f"{name}_{plain}", below(path, field.name))
        entry: dict[str, Any] = {"name": plain, "type": ["null", kind] if _is_union(field) else kind}
        if plain != field.name:
            entry["ingest.name"] = field.name
        found.append(entry)
    return {"type": "record", "name": name, "fields": found}


def _is_union(field: pa.Field) -> bool:
    return bool(field.nullable and not t.is_null(field.type))


def _allowed(name: str, taken: set[str]) -> str:
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
    plain = plain if re.match(r"[A-Za-z_]", plain) else f"_{plain}"
    while plain in taken:
        plain += "_"
    taken.add(plain)
    return plain


def _type(kind: pa.DataType, name: str, path: str) -> Any:
    if t.is_struct(kind):
        return _record(list(kind), name, path)
    if t.is_map(kind):
        pair = [kind.key_field.with_name("key"), kind.item_field.with_name("value")]
        return {"type": "array", "items": _record(pair, name, path)}
    if is_list(kind):
        item = _type(kind.value_type, f"{name}_item", f"{path}[]")
        return {"type": "array", "items": ["null", item] if _is_union(kind.value_field) else item}
    if t.is_fixed_size_binary(kind):
        return {"type": "fixed", "name": name, "size": kind.byte_width}
    for is_kind, avro in _LEAVES:
        if is_kind(kind):
            return avro(kind) if callable(avro) else avro
    raise FormatError(f"column {path!r}: Avro has no form for {kind}", hint="leave it out or cast it", column=path)


def _logical(base: str, name: str) -> dict[str, Any]:
    return {"type": base, "logicalType": name}


def _stamp(kind: pa.DataType) -> dict[str, Any]:
    return _logical("long", f"{'timestamp' if kind.tz is not None else 'local-timestamp'}-{_STAMPS[kind.unit]}")


def _time64(kind: pa.DataType) -> Any:
    return _logical("long", "time-micros") if kind.unit == "us" else "long"


def _decimal(kind: pa.DataType) -> dict[str, Any]:
    precision, scale = (20, 0) if t.is_uint64(kind) else (kind.precision, kind.scale)
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


_LEAVES: tuple[tuple[Callable[[pa.DataType], bool], Any], ...] = (
    (t.is_null, "null"),
    (t.is_boolean, "boolean"),
    (t.is_uint64, _decimal),
    (lambda kind: t.is_int64(kind) or t.is_uint32(kind), "long"),
    (t.is_integer, "int"),
    (t.is_float64, "double"),
    (t.is_floating, "float"),
    (t.is_decimal, _decimal),
    (lambda kind: t.is_string(kind) or t.is_large_string(kind), "string"),
    (lambda kind: t.is_binary(kind) or t.is_large_binary(kind), "bytes"),
    (t.is_date, _logical("int", "date")),
    (t.is_timestamp, _stamp),
    (t.is_time32, _logical("int", "time-millis")),
    (t.is_time64, _time64),
    (t.is_duration, "long"),
)
