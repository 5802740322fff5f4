"""Events of a binlog, and the rows in them as columns, in plain Python: the oracle of the compiled kernel."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

from ingest.sources.mysql.result_rows_twin import TooMuch, beyond_python, days_of

(
    INT1, INT2, INT3, INT4, INT8, YEAR, DATE, TIME2, DATETIME2, TIMESTAMP2, TIMESTAMP, DATETIME, TIME, DECIMAL, NUMBER,
    BITS, TEXT, BYTES, SLICE,
) = range(19)  # fmt: skip
"""Kinds of columns, as the kernel numbers them."""

WIDTHS = (1, 2, 4, 4, 8, 2, 4, 8, 8, 8, 8, 8, 8, 16, 8, 8)
_SIZES = (1, 2, 3, 4, 8, 1, 3, 3, 5, 4, 4, 8, 3)
_DIGIT_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)
_HEAD, _TABLE_MAP = 19, 19
_WITH_TABLE = {_TABLE_MAP, *range(20, 26), *range(30, 33), 39, *range(166, 172)}
_DAY_US = 86_400_000_000
_INT32_MAX = 2**31 - 1


def headers(data: Any, starts: Any, lengths: Any, found: np.ndarray, checksum: int) -> int:
    """As the kernel's."""
    view = memoryview(data)
    for row, (start, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
        if start < 0 or start + length > len(view) or length < _HEAD + checksum:
            return row
        event = bytes(view[start : start + length])
        time_s, kind, server, size, end, flags = struct.unpack_from("<IBIIIH", event)
        if size != length:
            return row
        if checksum and zlib.crc32(event[:-4]) != int.from_bytes(event[-4:], "little"):
            return row
        table, digest = -1, 0
        if kind in _WITH_TABLE:
            if length < _HEAD + 8 + checksum:
                return row
            table = int.from_bytes(event[_HEAD : _HEAD + 6], "little")
        if kind == _TABLE_MAP:
            digest = zlib.crc32(event[_HEAD : length - checksum])
        found[row] = (time_s, kind, server, end, flags, table, digest)
    return -1


class _NoImage(Exception):
    """The bytes are no row image."""


def _size_of(wire: tuple[int, int, int], view: memoryview, at: int, end: int) -> int:
    kind, size, scale = wire
    if kind <= TIME:
        return _SIZES[kind] + ((scale + 1) // 2 if TIME2 <= kind <= TIMESTAMP2 else 0)
    if kind == DECIMAL:
        whole = size - scale
        return (whole // 9 + scale // 9) * 4 + _DIGIT_BYTES[whole % 9] + _DIGIT_BYTES[scale % 9]
    if kind in (TEXT, BYTES):
        return size if end - at < size else size + int.from_bytes(view[at : at + size], "little")
    return size


def images(data: Any, starts: Any, ends: Any, sides: Any, layout: Any) -> tuple[np.ndarray, np.ndarray]:
    """As the kernel's."""
    view = memoryview(data)
    wires: list[Any] = [tuple(map(int, wire)) for wire in layout]
    places: list[int] = []
    events: list[int] = []
    for event, (start, end, side) in enumerate(zip(starts.tolist(), ends.tolist(), sides.tolist(), strict=True)):
        if start < 0 or end > len(view):
            raise ValueError(f"rows event {event} lies outside")
        try:
            found = _images_of(view, start, end, side, wires)
        except _NoImage:
            raise ValueError(f"rows event {event} cannot be read") from None
        places += found
        events += [event] * len(found)
    return np.array(places, np.int64), np.array(events, np.int64)


def _images_of(view: memoryview, at: int, end: int, sides: int, wires: list[Any]) -> list[int]:
    at = _behind_bitmaps(view, at, end, sides, len(wires))
    found = []
    while at < end:
        found.append(at)
        at = _behind_image(view, at, end, wires)
    if len(found) % sides:
        raise _NoImage
    return found


def _behind_bitmaps(view: memoryview, at: int, end: int, sides: int, fields: int) -> int:
    nulls = (fields + 7) // 8
    if end - at < 1:
        raise _NoImage
    size, at = view[at], at + 1
    if size == 0xFC and end - at >= 2:
        size, at = int.from_bytes(view[at : at + 2], "little"), at + 2
    elif size >= 0xFB:
        raise _NoImage
    if size != fields or end - at < sides * nulls:
        raise _NoImage
    for _ in range(sides):
        if any(not view[at + field // 8] >> field % 8 & 1 for field in range(fields)):
            raise LookupError("a rows event has not all columns")
        at += nulls
    return at


def _behind_image(view: memoryview, at: int, end: int, wires: list[Any]) -> int:
    bitmap, at = at, at + (len(wires) + 7) // 8
    if at > end:
        raise _NoImage
    for field, wire in enumerate(wires):
        if not view[bitmap + field // 8] >> field % 8 & 1:
            at += _size_of(wire, view, at, end)
        if at > end:
            raise _NoImage
    return at


def decode_images(data: Any, places: Any, layout: Any) -> tuple[list[tuple[np.ndarray, ...]], np.ndarray]:
    """As the kernel's."""
    view = memoryview(data)
    wires: list[Any] = [tuple(map(int, wire)) for wire in layout]
    refused = np.zeros(len(places), np.int32)
    cells: list[list[bytes | None]] = [[] for _ in wires]
    for row, place in enumerate(places.tolist()):
        at = place + (len(wires) + 7) // 8
        for field, wire in enumerate(wires):
            cell = None
            if place >= 0 and not view[place + field // 8] >> field % 8 & 1:
                size = _size_of(wire, view, at, len(view))
                cell = _cell(wire, bytes(view[at : at + size]))
                at += size
                if cell is None:
                    refused[row] = refused[row] or field + 1
            cells[field].append(cell)
    return [_column(wire[0], found) for wire, found in zip(wires, cells, strict=True)], refused


def _column(kind: int, cells: list[bytes | None]) -> tuple[np.ndarray, ...]:
    present = np.array([cell is not None for cell in cells], np.uint8)
    if kind >= TEXT:
        lengths = [0, *(len(cell or b"") for cell in cells)]
        content = np.frombuffer(b"".join(cell or b"" for cell in cells), np.uint8)
        return np.cumsum(lengths, dtype=np.int64).astype(np.int32), content, present
    empty = bytes(WIDTHS[kind])
    return np.frombuffer(b"".join(cell or empty for cell in cells), np.uint8), present


def _cell(wire: tuple[int, int, int], value: bytes) -> bytes | None:
    """The value as its column's buffer holds it; None if the type cannot."""
    kind, size, scale = wire
    if kind <= INT8:
        sign = b"\xff" if kind == INT3 and not scale and value[-1] & 0x80 else b"\0"
        return value.ljust(WIDTHS[kind], sign)
    if kind == YEAR:
        return struct.pack("<H", value[0] + 1900 if value[0] else 0)
    if kind == DECIMAL:
        return _decimal(value, size, scale)
    if kind == NUMBER:
        return value.ljust(8, b"\0")
    if kind == BITS:
        return value[::-1].ljust(8, b"\0")
    if kind == SLICE:
        return value
    if kind >= TEXT:
        return _text(kind, value[size:])
    found = _time(kind, scale, value)
    return None if found is None else struct.pack("<i" if kind == DATE else "<q", found)


def _text(kind: int, value: bytes) -> bytes | None:
    if kind == TEXT:
        try:
            value.decode()
        except UnicodeDecodeError:
            return None
    return value if len(value) <= _INT32_MAX else None


def _decimal(value: bytes, precision: int, scale: int) -> bytes:
    negative = not value[0] & 0x80
    mask = 0xFF if negative else 0
    content = bytes(byte ^ mask ^ (0x80 if place == 0 else 0) for place, byte in enumerate(value))
    whole = precision - scale
    number, at = 0, 0
    for digits in [whole % 9, *[9] * (whole // 9 + scale // 9), scale % 9]:
        size = _DIGIT_BYTES[digits]
        number = number * 10**digits + int.from_bytes(content[at : at + size], "big")
        at += size
    return ((-number if negative else number) % 2**128).to_bytes(16, "little")


def _day(year: int, month: int, day: int) -> int | None:
    try:
        return beyond_python(year, month, day) if year > 9999 else days_of(year, month, day)
    except TooMuch:
        return None


def _moment(year: int, month: int, day: int, seconds: int, us: int) -> int | None:
    days = _day(year, month, day)
    return None if days is None else days * _DAY_US + seconds * 1_000_000 + us


def _time(kind: int, scale: int, value: bytes) -> int | None:
    if kind == DATE:
        number = int.from_bytes(value, "little")
        return _day(number >> 9, number >> 5 & 15, number & 31)
    if kind == TIMESTAMP:
        return int.from_bytes(value, "little") * 1_000_000 or None
    if kind == DATETIME:
        number = int.from_bytes(value, "little")
        date, clock = divmod(number, 1_000_000)
        return _moment(date // 10_000, date // 100 % 100, date % 100, _seconds(clock), 0)
    if kind == TIME:
        number = int.from_bytes(value, "little")
        return None if number & 0x800000 or number >= 240_000 else _seconds(number) * 1_000_000
    head, us = value[: _SIZES[kind]], int.from_bytes(value[_SIZES[kind] :], "big") * 100 ** (3 - (scale + 1) // 2)
    number = int.from_bytes(head, "big")
    if kind == TIMESTAMP2:
        return number * 1_000_000 + us or None
    bits = number & 0x1FFFF
    seconds = (bits >> 12) * 3600 + (bits >> 6 & 63) * 60 + (bits & 63)
    if kind == DATETIME2:
        if number < 0x8000000000:
            return None
        days = number - 0x8000000000 >> 17
        return _moment((days >> 5) // 13, (days >> 5) % 13, days & 31, seconds, us)
    return _time_of_day(number, us)


def _time_of_day(number: int, us: int) -> int | None:
    if number < 0x800000:
        return None
    number -= 0x800000
    found = ((number >> 12 & 1023) * 3600 + (number >> 6 & 63) * 60 + (number & 63)) * 1_000_000 + us
    return found if found < _DAY_US else None


def _seconds(clock: int) -> int:
    return clock // 10_000 * 3600 + clock // 100 % 100 * 60 + clock % 100
