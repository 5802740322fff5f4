"""Times as ISO 8601 text (RFC 3339), and back, for one value at a time.

Written: ``2024-01-31T12:34:56.789Z`` with as many digits as the column's unit has; ``Z`` only where the
column has a zone. Read: any offset, blank or ``T``, fewer digits; more digits than the unit holds are refused.
"""

from __future__ import annotations

import re
from datetime import date

import pyarrow as pa
from pyarrow import types as t

_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY_SECONDS = 86_400
_DATE = r"(\d{4})-(\d{2})-(\d{2})"
_TIME = r"(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?"
_DATE_TEXT = re.compile(_DATE, re.ASCII)
_TIME_TEXT = re.compile(_TIME, re.ASCII)
_STAMP_TEXT = re.compile(_DATE + "[T ]" + _TIME + r"(Z|[+-]\d{2}:\d{2})?", re.ASCII)


def text_of(count: int, kind: pa.DataType) -> str:
    """The quoted text of a date, time or timestamp. Raises ``ValueError`` outside of the years 1 to 9999."""
    if t.is_date32(kind):
        return f'"{_date_text(count)}"'
    if t.is_date64(kind):
        days, rest = divmod(count, _DAY_SECONDS * 1000)
        if rest:
            raise ValueError("a date that is not a whole day")
        return f'"{_date_text(days)}"'
    seconds, fraction = divmod(count, 10 ** _DIGITS[kind.unit])
    days, second = divmod(seconds, _DAY_SECONDS)
    digits = _DIGITS[kind.unit]
    clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    clock += f".{fraction:0{digits}d}" if digits else ""
    if t.is_time(kind):
        if days:
            raise ValueError("a time of day beyond 24 hours")
        return f'"{clock}"'
    return f'"{_date_text(days)}T{clock}{"Z" if kind.tz is not None else ""}"'


def count_of(text: str, kind: pa.DataType) -> int:
    """The column's integer for a text. Raises ``ValueError`` for what is no such time, or not exact."""
    if t.is_date(kind):
        found = _DATE_TEXT.fullmatch(text)
        days = _days(found.groups(), text) if found else _refuse(text, kind)
        return days if t.is_date32(kind) else days * _DAY_SECONDS * 1000
    if t.is_time(kind):
        found = _TIME_TEXT.fullmatch(text)
        return _clock(found.groups(), text, kind) if found else _refuse(text, kind)
    found = _STAMP_TEXT.fullmatch(text)
    if found is None or (found[8] is None) != (kind.tz is None):
        return _refuse(text, kind)
    unit: int = 10 ** _DIGITS[kind.unit]
    seconds = _days(found.groups()[:3], text) * _DAY_SECONDS - _offset_seconds(found[8], text)
    count = seconds * unit + _clock(found.groups()[3:7], text, kind)
    if not -(2**63) <= count < 2**63:
        raise ValueError(f"{text[:40]!r} is beyond {kind}")
    return count


def _date_text(days: int) -> str:
    try:
        return date.fromordinal(days + _EPOCH_DAY).isoformat()
    except (ValueError, OverflowError):
        raise ValueError("a date outside of the years 1 to 9999") from None


def _days(parts: tuple[str, ...], text: str) -> int:
    try:
        return date(int(parts[0]), int(parts[1]), int(parts[2])).toordinal() - _EPOCH_DAY
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no date") from None


def _clock(parts: tuple[str | None, ...], text: str, kind: pa.DataType) -> int:
    hour, minute, second = (int(part or 0) for part in parts[:3])
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(f"{text[:40]!r} is no time of day")
    digits = _DIGITS[kind.unit]
    fraction = (parts[3] or "").ljust(9, "0")
    if fraction[digits:].strip("0"):
        raise ValueError(f"{text[:40]!r} is finer than {kind}")
    whole: int = (hour * 3600 + minute * 60 + second) * 10**digits
    return whole + int(fraction[:digits] or 0)


def _offset_seconds(text: str | None, whole: str) -> int:
    if text is None or text == "Z":
        return 0
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours > 23 or minutes > 59:
        raise ValueError(f"{whole[:40]!r} has no such offset")
    seconds = hours * 3600 + minutes * 60
    return -seconds if text[0] == "-" else seconds


def _refuse(text: str, kind: pa.DataType) -> int:
    raise ValueError(f"the text {text[:40]!r} where {kind} is expected")
