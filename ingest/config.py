"""Settings, declared once: a pydantic model per component feeds checks, docs and JSON Schema.

``Settings`` refuses unknown keys. Sizes are written ``128MiB`` or ``128 MB``, durations ``500ms``,
``5m``, ``1h30m``; in Python they are plain integers of bytes and milliseconds.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr, WithJsonSchema

_SIZE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)(b?)\s*$", re.IGNORECASE)
_SIZE_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_DURATION_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def parse_size_bytes(value: object) -> object:
    """``"128MiB"`` -> 134217728, ``"1 kB"`` -> 1000; integers pass; raises ``ValueError`` else."""
    if not isinstance(value, str):
        return _whole(value, "a size", "128MiB")
    match = _SIZE.match(value)
    if match is None:
        raise ValueError(f"{value!r} is not a size; write for example 128MiB")
    number, power, binary, _ = match.groups()
    base = 1024 if binary else 1000
    return int(float(number) * base ** _SIZE_POWERS[power.lower()])


def parse_duration_ms(value: object) -> object:
    """``"1h30m"`` -> 5400000; integers are milliseconds; raises ``ValueError`` else."""
    if not isinstance(value, str):
        return _whole(value, "a duration", "500ms, 30s, 5m or 1h30m")
    text = value.strip().lower()
    if text.isdigit():
        return int(text)
    parts = _DURATION.findall(text)
    if not parts or _DURATION.sub("", text).strip():
        raise ValueError(f"{value!r} is not a duration; write for example 500ms, 30s, 5m or 1h30m")
    return int(sum(float(number) * _DURATION_MS[unit] for number, unit in parts))


def _whole(value: object, what: str, example: str) -> object:
    if value is not None and not isinstance(value, int):
        raise ValueError(f"{what} is needed; write for example {example}")
    return value


def _not_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")
    return value


ByteSize = Annotated[
    int,
    BeforeValidator(parse_size_bytes),
    BeforeValidator(_not_boolean),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}], "examples": ["128MiB"], "x-unit": "bytes"}
    ),
]
DurationMs = Annotated[
    int,
    BeforeValidator(parse_duration_ms),
    BeforeValidator(_not_boolean),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}], "examples": ["5m"], "x-unit": "ms"}
    ),
]
Secret = SecretStr


def duration_text(duration_ms: int) -> str:
    """The shortest way to write a duration: 5400000 -> ``"90m"``."""
    return next(
        f"{duration_ms // size}{unit}"
        for unit, size in reversed(_DURATION_MS.items())
        if duration_ms % size == 0 and (duration_ms or unit == "s")
    )


def size_text(size_bytes: int) -> str:
    """The shortest way to write a size exactly: 1048576 -> ``"1MiB"``, 4000 -> ``"4000"``."""
    for unit, power in (("TiB", 4), ("GiB", 3), ("MiB", 2), ("KiB", 1)):
        if size_bytes and size_bytes % 1024**power == 0:
            return f"{size_bytes // 1024**power}{unit}"
    return str(size_bytes)


class Settings(BaseModel):
    """Base of every settings model: unknown keys are errors, values cannot change after loading.

    Each field carries ``Field(description=...)``: the published documentation is made from it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True)


def nearest(word: str, known: list[str]) -> str | None:
    """The known word that ``word`` most likely means, or None."""
    import difflib

    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return found[0] if found else None
