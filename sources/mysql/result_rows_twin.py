"""Rows of a prepared statement's result to columns, in plain Python: the oracle of the compiled kernel."""

from __future__ import annotations

import struct
from datetime import date
from typing import Any

import numpy as np

FIXED1, FIXED2, FIXED4, FIXED8, DECIMAL, DATE, DATETIME, TIME, BIT, NULLS, TEXT, BYTES = range(12)
"""Kinds of columns, as the kernel numbers them."""
MORE, END, ERROR, FULL = range(4)
"""Outcomes of ``packets``, likewise."""

WIDTHS = (1, 2, 4, 8, 16, 4, 8, 8, 8, 1)
_WHOLE_PACKET = 0xFFFFFF
_INT32_MAX = 2**31 - 1
_DAY_US = 86_400_000_000
_YEAR_0_DAYS = 719_528
"""From 0000-01-01 to 1970-01-01; year 0, which Python's calendar lacks, has 366 of them."""

Columns = list[tuple[np.ndarray, ...]]


def packets(memory: Any, at: int, end: int, starts: Any, lengths: Any) -> tuple[int, int, int, int]:
    """As the kernel's."""
    view = memoryview(memory)
    rows, most = 0, min(len(starts), len(lengths))
    while True:
        parts, after, need = _parts(view, at, end)
        if after is None:
            return MORE, rows, at, need
        size = sum(length for _, length in parts)
        if size == 0 or view[at + 4] != 0:
            return ERROR if size and view[at + 4] == 0xFF else END, rows, at, need
        if rows == most:
            return FULL, rows, at, need
        whole = b"".join(bytes(view[start : start + length]) for start, length in parts)
        view[at + 4 : at + 4 + size] = whole
        starts[rows], lengths[rows] = at + 4, size
        rows, at = rows + 1, after


def _parts(view: memoryview, at: int, end: int) -> tuple[list[tuple[int, int]], int | None, int]:
    """Where the pieces of a row lie, where they end (None if they are not all there), and how much it needs."""
    begin, part, need = at, _WHOLE_PACKET, 4
    parts: list[tuple[int, int]] = []
    while part == _WHOLE_PACKET:
        need = at + 4 - begin
        if end - at < 4:
            return parts, None, need
        part = int.from_bytes(view[at : at + 3], "little")
        need += part
        if end - at - 4 < part:
            return parts, None, need
        parts.append((at + 4, part))
        at += 4 + part
    return parts, at, need


class _NoRow(Exception):
    """The bytes are no row."""


class TooMuch(Exception):
    """The column's type cannot hold the value."""


class _Bytes:
    """A row, read from its beginning."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def take(self, size: int) -> bytes:
        if size > len(self.content) - self.at:
            raise _NoRow
        self.at += size
        return self.content[self.at - size : self.at]

    def sized(self) -> bytes:
        """What stands behind its length."""
        first = self.take(1)[0]
        if first in (0xFB, 0xFF):
            raise _NoRow
        if first > 0xFB:
            first = int.from_bytes(self.take({0xFC: 2, 0xFD: 3, 0xFE: 8}[first]), "little")
        return self.take(first)


def decode_rows(data: Any, starts: Any, lengths: Any, kinds: Any, scales: Any) -> tuple[Columns, np.ndarray]:
    """As the kernel's."""
    view = memoryview(data)
    refused = np.zeros(len(starts), np.int32)
    cells: list[list[bytes | None]] = [[] for _ in kinds]
    for row, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        try:
            if start < 0 or start + length > len(view):
                raise _NoRow
            _read_row(_Bytes(bytes(view[start : start + length])), row, kinds, scales, cells, refused)
        except _NoRow:
            raise ValueError(f"row {row} of a result cannot be read") from None
    return [column_of(int(kind), found) for kind, found in zip(kinds, cells, strict=True)], refused


def _read_row(
    content: _Bytes, row: int, kinds: Any, scales: Any, cells: list[list[bytes | None]], refused: np.ndarray
) -> None:
    content.take(1)
    nulls = int.from_bytes(content.take((len(kinds) + 9) // 8), "little") >> 2
    for field, (kind, scale) in enumerate(zip(kinds, scales, strict=True)):
        cell = None
        if not nulls >> field & 1:
            try:
                cell = _cell(int(kind), int(scale), content)
            except TooMuch:
                refused[row] = refused[row] or field + 1
        cells[field].append(cell)
    if content.at != len(content.content):
        raise _NoRow


def _cell(kind: int, scale: int, content: _Bytes) -> bytes:
    """The value as its column's buffer holds it."""
    if kind <= FIXED8:
        return content.take(WIDTHS[kind])
    value = content.sized()
    if kind == NULLS:
        raise _NoRow
    if kind == TEXT:
        return utf8(value)
    if kind == BYTES:
        return value
    if kind == DECIMAL:
        return _decimal(value, scale)
    if kind == BIT:
        if len(value) > 8:
            raise _NoRow
        return value[::-1].ljust(8, b"\0")
    return _time(value) if kind == TIME else _moment(value, kind)


def utf8(value: bytes) -> bytes:
    try:
        value.decode()
    except UnicodeDecodeError:
        raise TooMuch from None
    return value


def _decimal(value: bytes, scale: int) -> bytes:
    digits = value.removeprefix(b"-")
    whole, _, fraction = digits.partition(b".")
    if not digits or (whole + fraction).strip(b"0123456789"):
        raise _NoRow
    if len((whole + fraction).lstrip(b"0")) > 38 or len(fraction) > scale:
        raise TooMuch
    number: int = int(whole + fraction or b"0") * 10 ** (scale - len(fraction))
    if number >= 10**38:
        raise TooMuch
    return (-number if value[:1] == b"-" else number).to_bytes(16, "little", signed=True)


def days_of(year: int, month: int, day: int) -> int:
    """Since 1970-01-01; raises ``TooMuch`` for what the calendar has not."""
    try:
        if year == 0:
            return date(4, month, day).toordinal() - date(4, 1, 1).toordinal() - _YEAR_0_DAYS
        return date(year, month, day).toordinal() + 365 - _YEAR_0_DAYS
    except ValueError:
        raise TooMuch from None


def _moment(value: bytes, kind: int) -> bytes:
    if not value:
        raise TooMuch
    if len(value) not in (4, 7, 11):
        raise _NoRow
    year, month, day, hour, minute, second, us = struct.unpack("<HBBBBBI", value.ljust(11, b"\0"))
    days = beyond_python(year, month, day) if year > 9999 else days_of(year, month, day)
    within = (hour * 3600 + minute * 60 + second) * 1_000_000 + us
    if kind == DATE:
        if within:
            raise TooMuch
        return struct.pack("<i", days)
    return struct.pack("<q", days * _DAY_US + within)


def beyond_python(year: int, month: int, day: int) -> int:
    """The calendar repeats itself every 400 years, which are 146097 days."""
    cycles = (year - 2000) // 400
    return days_of(year - 400 * cycles, month, day) + 146_097 * cycles


def _time(value: bytes) -> bytes:
    if len(value) not in (0, 8, 12):
        raise _NoRow
    negative, days, hour, minute, second, us = struct.unpack("<BIBBBI", value.ljust(12, b"\0"))
    within = (hour * 3600 + minute * 60 + second) * 1_000_000 + us
    if days or within >= _DAY_US or (negative and within):
        raise TooMuch
    return struct.pack("<q", within)


def column_of(kind: int, cells: list[bytes | None]) -> tuple[np.ndarray, ...]:
    """The buffers of a column."""
    present = np.array([cell is not None for cell in cells], np.uint8)
    if kind >= TEXT:
        lengths = [0, *(len(cell or b"") for cell in cells)]
        if sum(lengths) > _INT32_MAX:
            raise OverflowError("a column has more than 2 GiB of text")
        content = np.frombuffer(b"".join(cell or b"" for cell in cells), np.uint8)
        return np.cumsum(lengths, dtype=np.int64).astype(np.int32), content, present
    empty = bytes(WIDTHS[kind])
    return np.frombuffer(b"".join(cell or empty for cell in cells), np.uint8), present
