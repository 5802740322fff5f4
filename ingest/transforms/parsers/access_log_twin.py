"""Access-log lines to columns in plain Python: the oracle of ``_parse.pyx``, and its stand-in.

``explain`` says why a line is refused; it is used beside the compiled kernel too.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache

import numpy as np
import pyarrow as pa

_WORD = rb"[^\x00-\x20]+"
_QUOTED = rb'"([^"\\]*(?:\\.[^"\\]*)*)"'
_TIME = rb"\[([0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4})\]"
_REST = rb"(?: (.*))?"
_TIME_WORDS = "[dd/Mon/yyyy:hh:mm:ss +hhmm]"
_SIZE_WORDS = "the number of bytes, or -"

# What a line is made of, in order, and how a reader calls each part.
_COMMON_PARTS = [
    (rb"(%s) " % _WORD, "host and a space"),
    (rb"(%s) " % _WORD, "ident and a space"),
    (rb"(%s) " % _WORD, "user and a space"),
    (_TIME, _TIME_WORDS),
    (rb" " + _QUOTED, "a space and the request in quotes"),
    (rb" ([0-9]{3}|-) ", "a status of three digits, or -, between spaces"),
    (rb"([0-9]+|-)", _SIZE_WORDS),
]
_COMBINED_PARTS = [
    *_COMMON_PARTS,
    (rb" " + _QUOTED, "a space and the referer in quotes"),
    (rb" " + _QUOTED, "a space and the user agent in quotes"),
]
_END = "a space or the end of the line"
_PARTS = {True: _COMBINED_PARTS, False: _COMMON_PARTS}
_LINE = {
    combined: re.compile(b"".join(part for part, _ in parts) + _REST, re.DOTALL) for combined, parts in _PARTS.items()
}
_STEPS = {
    combined: [(re.compile(part, re.DOTALL), expected) for part, expected in parts]
    for combined, parts in _PARTS.items()
}
_REQUEST = re.compile(rb"(%s) (%s) (%s)" % (_WORD, _WORD, _WORD))
_MONTHS = {
    name: number
    for number, name in enumerate(
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"], 1
    )
}
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MOST_BYTES = (1 << 63) - 1

Row = tuple[int, int | None, int | None, list[bytes | None]]
"""Time, status, size, and the nine texts: host ident user method path protocol referer user_agent rest."""


def access_lines(offsets: np.ndarray, data: np.ndarray, combined: bool) -> tuple[object, ...]:
    """The same arguments and results as the compiled kernel's."""
    content = data.tobytes()
    rows = [
        parse_line(content[start:end], combined)
        for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    ]
    empty: Row = (0, None, None, [None] * 9)
    full = [row or empty for row in rows]
    statuses = [row[1] for row in full]
    sizes = [row[2] for row in full]
    return (
        np.array([row is not None for row in rows], dtype=np.uint8),
        np.array([row[0] for row in full], dtype=np.int64),
        np.array([status or 0 for status in statuses], dtype=np.int32),
        np.array([status is not None for status in statuses], dtype=np.uint8),
        np.array([size or 0 for size in sizes], dtype=np.int64),
        np.array([size is not None for size in sizes], dtype=np.uint8),
        [_texts([row[3][column] for row in full]) for column in range(9)],
    )


def parse_line(line: bytes, combined: bool) -> Row | None:
    """One line, or None if it is not in the format."""
    match = _LINE[combined].fullmatch(line)
    if match is None:
        return None
    host, ident, user, time, request, status, size, *others = match.groups()
    time_ms = _time_ms(time)
    if time_ms is None or (size != b"-" and int(size) > _MOST_BYTES):
        return None
    referer, user_agent, rest = others if combined else (None, None, others[0])
    three = _REQUEST.fullmatch(request)
    method, path, protocol = three.groups() if three else (None, request, None)
    texts = [host, ident, user, method, path, protocol, referer, user_agent, rest or None]
    return time_ms, None if status == b"-" else int(status), None if size == b"-" else int(size), texts


def explain(line: bytes, combined: bool) -> str:
    """Why ``parse_line`` refuses the line: what it expected, and the byte (counted from 0) where."""
    at = 0
    for step, expected in _STEPS[combined]:
        match = step.match(line, at)
        if match is None:
            return f"expected {expected} at byte {at}, found {_seen(line, at)}"
        if expected is _TIME_WORDS and _time_ms(match[1]) is None:
            return f"no such time at byte {at}: {match[1].decode()}"
        if expected is _SIZE_WORDS and match[1] != b"-" and int(match[1]) > _MOST_BYTES:
            return f"the number of bytes at byte {at} needs more than 64 bits"
        at = match.end()
    return f"expected {_END} at byte {at}, found {_seen(line, at)}"


def _seen(line: bytes, at: int) -> str:
    rest = line[at : at + 24]
    if not rest:
        return "the end of the line"
    return repr(rest.decode("utf-8", "replace")) + ("…" if len(line) > at + 24 else "")


@lru_cache(maxsize=4096)
def _time_ms(text: bytes) -> int | None:
    """A second of 60 is a leap second: the first of the next minute."""
    month = _MONTHS.get(text[3:6], 0)
    hour, minute, second = int(text[12:14]), int(text[15:17]), int(text[18:20])
    zone_hour, zone_minute = int(text[22:24]), int(text[24:26])
    if hour > 23 or minute > 59 or second > 60 or zone_hour > 23 or zone_minute > 59:
        return None
    try:
        day = date(int(text[7:11]), month, int(text[:2])).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    zone_s = (zone_hour * 3600 + zone_minute * 60) * (1 if text[21:22] == b"+" else -1)
    return (day * 86_400 + hour * 3600 + minute * 60 + second - zone_s) * 1000


def _texts(values: list[bytes | None]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    column = pa.array(values, pa.binary())
    _, offsets, content = column.buffers()
    used = np.frombuffer(offsets, np.int32)[: len(values) + 1] if len(values) else np.zeros(1, np.int32)
    data = np.frombuffer(content, np.uint8)[: used[-1]] if used[-1] else np.zeros(0, np.uint8)
    return used, data, np.asarray(column.is_valid()).astype(np.uint8)
