"""MySQL's binary JSON, as its binlog has it, printed as the server prints it.

An object or an array begins with the number of its members and its size, of 2 bytes each, or 4 in a large one; then
come the places of keys and of values, counted from there. A value of a few bytes stands where its place would.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pyarrow as pa

_SMALL_OBJECT, _LARGE_OBJECT, _SMALL_ARRAY, _LARGE_ARRAY, _LITERAL = range(5)
_NUMBERS = {5: "<h", 6: "<H", 7: "<i", 8: "<I", 9: "<q", 10: "<Q"}
_DOUBLE, _STRING, _OPAQUE = 11, 12, 15
_OBJECTS, _LARGE = (_SMALL_OBJECT, _LARGE_OBJECT), (_LARGE_OBJECT, _LARGE_ARRAY)
_LITERALS = ("null", "true", "false")
_INSIDE = {_LITERAL, 5, 6}
_INSIDE_LARGE = _INSIDE | {7, 8}
_DECIMAL = 246
_CLOCK, _DATES = 11, (7, 10, 12)
_MOST_FIXED = 15
"""Digits before the point, or zeros behind it, with which a double is printed without an exponent."""

Decimals = Callable[[bytes, int, int], Decimal]


def printed(column: pa.Array, decimals: Decimals) -> tuple[pa.Array, np.ndarray | None]:
    """The texts; the array marks what is no JSON. ``decimals`` reads one of the log's."""
    texts: list[str | None] = []
    bad = np.zeros(len(column), bool)
    for place, content in enumerate(column.to_pylist()):
        try:
            texts.append(None if content is None else _document(content, decimals))
        except (struct.error, IndexError, KeyError, UnicodeDecodeError, RecursionError):
            texts.append(None)
            bad[place] = True
    return pa.array(texts, pa.string()), bad if bad.any() else None


def _document(content: bytes, decimals: Decimals) -> str:
    """An empty one is what IGNORE makes of a missing value."""
    return _value(content[0], content[1:], decimals) if content else "null"


def _value(kind: int, content: bytes, decimals: Decimals) -> str:
    if kind <= _LARGE_ARRAY:
        return _members(kind, content, decimals)
    if kind == _LITERAL:
        return _LITERALS[content[0]]
    if kind in _NUMBERS:
        return str(struct.unpack_from(_NUMBERS[kind], content)[0])
    if kind == _DOUBLE:
        return _double(*struct.unpack_from("<d", content))
    if kind == _STRING:
        return json.dumps(_sized(content).decode(), ensure_ascii=False)
    if kind == _OPAQUE:
        return _opaque(content[0], _sized(content[1:]), decimals)
    raise KeyError(kind)


def _members(kind: int, content: bytes, decimals: Decimals) -> str:
    width, number = (4, "<I") if kind in _LARGE else (2, "<H")
    count, size = struct.unpack_from(number[0] + number[1] * 2, content)
    content = content[:size]
    at = 2 * width
    keys = []
    if kind in _OBJECTS:
        for _ in range(count):
            start, length = struct.unpack_from(number + "H", content, at)
            keys.append(json.dumps(content[start : start + length].decode(), ensure_ascii=False))
            at += width + 2
    values = []
    for place in range(at, at + count * (1 + width), 1 + width):
        inner = content[place]
        inside = inner in (_INSIDE_LARGE if kind in _LARGE else _INSIDE)
        start = place + 1 if inside else struct.unpack_from(number, content, place + 1)[0]
        values.append(_value(inner, content[start:], decimals))
    if kind in _OBJECTS:
        return "{" + ", ".join(f"{key}: {value}" for key, value in zip(keys, values, strict=True)) + "}"
    return "[" + ", ".join(values) + "]"


def _sized(content: bytes) -> bytes:
    """Behind its length, 7 bits a byte, the low ones first."""
    length = at = shift = 0
    while True:
        byte = content[at]
        length |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            break
    if at + length > len(content):
        raise IndexError(length)
    return content[at : at + length]


def _double(number: float) -> str:
    """The fewest digits that mean this number; with a point or an exponent, that it stays a double."""
    sign, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    text = "".join(map(str, digits))
    assert isinstance(exponent, int)
    before = len(text) + exponent
    if number == 0:
        found = "0.0"
    elif before > _MOST_FIXED or before < 1 - _MOST_FIXED:
        found = f"{text[0]}{'.' if len(text) > 1 else ''}{text[1:]}e{before - 1}"
    elif before <= 0:
        found = f"0.{'0' * -before}{text}"
    else:
        whole = text.ljust(before, "0")
        found = f"{whole[:before]}.{whole[before:] or '0'}"
    return "-" + found if sign else found


def _opaque(kind: int, content: bytes, decimals: Decimals) -> str:
    """A value of SQL in a JSON document: a decimal, a time, or bytes."""
    if kind == _DECIMAL:
        return format(decimals(content[2:], content[0], content[1]), "f")
    if kind in (*_DATES, _CLOCK):
        return f'"{_moment(kind, int.from_bytes(content[:8], "little", signed=True))}"'
    return f'"base64:type{kind}:{base64.b64encode(content).decode()}"'


def _moment(kind: int, packed: int) -> str:
    sign, packed = "-" if packed < 0 else "", abs(packed)
    whole, micros = packed >> 24, packed & 0xFFFFFF
    second, minute = whole & 0x3F, whole >> 6 & 0x3F
    if kind == _CLOCK:
        return f"{sign}{whole >> 12 & 0x3FF:02}:{minute:02}:{second:02}.{micros:06}"
    hour, days = whole >> 12 & 0x1F, whole >> 17
    day, months = days & 0x1F, days >> 5
    date = f"{months // 13:04}-{months % 13:02}-{day:02}"
    return date if kind == 10 else f"{date} {hour:02}:{minute:02}:{second:02}.{micros:06}"
