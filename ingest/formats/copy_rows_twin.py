"""Rows of PostgreSQL's binary COPY to columns, in plain Python: the oracle of the compiled kernel."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

BOOL, INT2, INT4, INT8, DATE, TIME, TIMESTAMP, UUID, INTERVAL, NUMERIC, TEXT, JSONB = range(12)
"""Kinds of columns, as the kernel numbers them."""

WIDTHS = (1, 2, 4, 8, 4, 8, 8, 16, 16, 16)
_EPOCH_DAYS = 10_957
_EPOCH_US = 946_684_800_000_000
_INT32_MAX, _INT64_MAX = 2**31 - 1, 2**63 - 1
_MOST_INTERVAL_US = _INT64_MAX // 1000

Columns = list[tuple[np.ndarray, ...]]


def decode_rows(data: Any, count: int, kinds: Any, scales: Any) -> tuple[Columns, np.ndarray]:
    """As the kernel's."""
    view = memoryview(data)
    refused = np.zeros(count, np.int32)
    cells: list[list[bytes | None]] = [[] for _ in kinds]
    at = 0
    for row in range(count):
        try:
            at = _read_row(view, at, row, kinds, scales, cells, refused)
        except (struct.error, _NoRow) as error:
            raise ValueError(f"row {row} of a binary COPY cannot be read") from error
    if at != len(view):
        raise ValueError(f"row {count} of a binary COPY cannot be read")
    return [_column(kind, found) for kind, found in zip(kinds, cells, strict=True)], refused


class _NoRow(Exception):
    """The bytes are no row."""


class _TooMuch(Exception):
    """The column's type cannot hold the value."""


def _read_row(
    view: memoryview, at: int, row: int, kinds: Any, scales: Any, cells: list[list[bytes | None]], refused: np.ndarray
) -> int:
    (fields,) = struct.unpack_from(">h", view, at)
    if fields != len(kinds):
        raise _NoRow
    at += 2
    for field, (kind, scale) in enumerate(zip(kinds, scales, strict=True)):
        (length,) = struct.unpack_from(">i", view, at)
        at += 4
        cell = None
        if length != -1:
            if length < 0 or at + length > len(view):
                raise _NoRow
            try:
                cell = _cell(int(kind), int(scale), bytes(view[at : at + length]))
            except _TooMuch:
                refused[row] = refused[row] or field + 1
            at += length
        cells[field].append(cell)
    return at


def _cell(kind: int, scale: int, value: bytes) -> bytes:
    """The value as its column's buffer holds it."""
    if kind == TEXT:
        return value
    if kind == JSONB:
        if value[:1] != b"\x01":
            raise _NoRow
        return value[1:]
    if kind == NUMERIC:
        return _numeric(value, scale)
    if len(value) != WIDTHS[kind]:
        raise _NoRow
    return _fixed(kind, value)


def _fixed(kind: int, value: bytes) -> bytes:
    if kind == BOOL:
        return bytes([value != b"\0"])
    if kind == DATE:
        return _shifted(value, ">i", _EPOCH_DAYS, _INT32_MAX)
    if kind == TIMESTAMP:
        return _shifted(value, ">q", _EPOCH_US, _INT64_MAX)
    if kind == INTERVAL:
        us, days, months = struct.unpack(">qii", value)
        if abs(us) > _MOST_INTERVAL_US:
            raise _TooMuch
        return struct.pack("<iiq", months, days, us * 1000)
    return value if kind == UUID else value[::-1]


def _shifted(value: bytes, form: str, by: int, most: int) -> bytes:
    (number,) = struct.unpack(form, value)
    if number in (most, -most - 1) or number > most - by:
        raise _TooMuch
    return struct.pack("<" + form[1:], number + by)


def _numeric(value: bytes, scale: int) -> bytes:
    if len(value) < 8:
        raise _NoRow
    count, weight, sign = struct.unpack_from(">HhH", value)
    if sign & 0xC000 == 0xC000:
        raise _TooMuch
    if len(value) != 8 + 2 * count or sign not in (0, 0x4000):
        raise _NoRow
    digits = struct.unpack_from(f">{count}H", value, 8)
    if any(digit > 9999 for digit in digits):
        raise _NoRow
    whole = 0
    for digit in digits:
        whole = whole * 10_000 + digit
    shift = scale + 4 * (weight - count + 1)
    if shift >= 0:
        whole *= 10**shift
    else:
        whole, left = divmod(whole, 10**-shift)
        if left:
            raise _TooMuch
    if whole >= 10**38:
        raise _TooMuch
    signed: int = -whole if sign else whole
    return signed.to_bytes(16, "little", signed=True)


def _column(kind: int, cells: list[bytes | None]) -> tuple[np.ndarray, ...]:
    present = np.array([cell is not None for cell in cells], np.uint8)
    if kind >= TEXT:
        lengths = [0, *(len(cell or b"") for cell in cells)]
        if sum(lengths) > _INT32_MAX:
            raise OverflowError("a column has more than 2 GiB of text")
        content = np.frombuffer(b"".join(cell or b"" for cell in cells), np.uint8)
        return np.cumsum(lengths, dtype=np.int64).astype(np.int32), content, present
    empty = bytes(WIDTHS[kind])
    return np.frombuffer(b"".join(cell or empty for cell in cells), np.uint8), present
