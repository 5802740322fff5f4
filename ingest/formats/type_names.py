"""Column types by the names that settings use."""

from __future__ import annotations

import re

import pyarrow as pa

from ingest.config import nearest
from ingest.errors import ConfigError

_UTC = "UTC"
NAMED: dict[str, pa.DataType] = {
    "string": pa.string(),
    "binary": pa.binary(),
    "boolean": pa.bool_(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "uint8": pa.uint8(),
    "uint16": pa.uint16(),
    "uint32": pa.uint32(),
    "uint64": pa.uint64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us", tz=_UTC),
    "timestamp_s": pa.timestamp("s", tz=_UTC),
    "timestamp_ms": pa.timestamp("ms", tz=_UTC),
    "timestamp_us": pa.timestamp("us", tz=_UTC),
    "timestamp_ns": pa.timestamp("ns", tz=_UTC),
}
ALIASES = {
    "text": "string",
    "str": "string",
    "bool": "boolean",
    "int": "int64",
    "float": "float64",
    "double": "float64",
}
_DECIMAL = re.compile(r"decimal\(\s*(\d{1,2})\s*,\s*(\d{1,2})\s*\)")


def type_named(name: str, setting: str = "types") -> pa.DataType:
    """The type of that name, or ``decimal(digits, scale)``. Raises ``ConfigError`` with the nearest name."""
    word = name.strip().lower()
    word = ALIASES.get(word, word)
    if word in NAMED:
        return NAMED[word]
    match = _DECIMAL.fullmatch(word)
    if match is not None and 1 <= int(match[1]) <= 38 and int(match[2]) <= int(match[1]):
        return pa.decimal128(int(match[1]), int(match[2]))
    meant = nearest(word, [*NAMED, *ALIASES])
    known = f"known: {', '.join(NAMED)}, decimal(digits, scale)"
    hint = f"did you mean {meant}? {known}" if meant else known
    raise ConfigError(f"{setting}: there is no type {name}", hint=hint, setting=setting)
