"""The kernel of ``json_events`` in plain Python: its test's oracle, and what runs where no compiler is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

NOT_JSON, NOT_OBJECT, TOO_DEEP, NO_LIST = 1, 2, 3, 4
NO_ROOM = -1

_SPACE = re.compile(rb"[ \t\r\n]*")
_PLAIN = re.compile(rb'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"')
_SURROGATES = re.compile(rb"(?<!\\)(?:\\\\)*((?:\\u[dD][89aAbBcCdDeEfF][0-9a-fA-F]{2})+)")
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORD = re.compile(rb"true|false|null")


class _Trouble(Exception):
    def __init__(self, kind: int, at: int) -> None:
        self.kind = kind
        self.at = at


def find_object(data: bytes, depth: int) -> tuple[int, int]:
    """See the kernel."""
    try:
        stop = _after(_SPACE, data, _object(data, _after(_SPACE, data, 0), len(data), depth), len(data))
    except _Trouble as trouble:
        return trouble.kind, trouble.at
    return (0, 0) if stop == len(data) else (NOT_JSON, stop)


def find_lines(data: bytes, depth: int, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> tuple[int, int, int]:
    """See the kernel."""
    count = 0
    for begin, end in _lines(data):
        start = _after(_SPACE, data, begin, end)
        if start == end:
            continue
        try:
            stop = _object(data, start, end, depth)
        except _Trouble as trouble:
            return count, trouble.kind, trouble.at
        rest = _after(_SPACE, data, stop, end)
        if rest < end:
            return count, NOT_JSON, rest
        starts[count], stops[count] = start, stop
        count += 1
    return count, 0, len(data)


def find_items(data: bytes, depth: int, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> tuple[int, int, int]:
    """See the kernel."""
    end = len(data)
    count, at = 0, _after(_SPACE, data, 0, end)
    if data[at : at + 1] != b"[":
        return 0, NO_LIST if data else NOT_JSON, at
    at = _after(_SPACE, data, at + 1, end)
    separator = data[at : at + 1]
    if separator == b"]":
        at += 1
    while separator != b"]":
        if count == len(starts):
            return count, NO_ROOM, at
        start = _after(_SPACE, data, at, end)
        try:
            stop = _object(data, start, end, depth)
        except _Trouble as trouble:
            return count, trouble.kind, trouble.at
        starts[count], stops[count] = start, stop
        count += 1
        at = _after(_SPACE, data, stop, end)
        separator = data[at : at + 1]
        if separator not in (b",", b"]"):
            return count, NOT_JSON, at
        at += 1
    at = _after(_SPACE, data, at, end)
    return (count, 0, at) if at == end else (count, NOT_JSON, at)


def gather(data: bytes, starts: NDArray[np.int64], stops: NDArray[np.int64], into: NDArray[np.uint8]) -> None:
    """See the kernel."""
    sizes = stops - starts
    shift = np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
    into[:] = np.frombuffer(data, np.uint8)[np.arange(len(into)) + shift]


def _lines(data: bytes) -> Iterator[tuple[int, int]]:
    begin = 0
    while begin < len(data):
        end = data.find(b"\n", begin)
        end = len(data) if end < 0 else end
        yield begin, end
        begin = end + 1


def _after(pattern: re.Pattern[bytes], data: bytes, at: int, end: int | None = None) -> int:
    found = pattern.match(data, at, len(data) if end is None else end)
    return found.end() if found else at


def _object(data: bytes, at: int, end: int, depth: int) -> int:
    stop = _value(data, at, end, depth)
    if data[at : at + 1] != b"{":
        raise _Trouble(NOT_OBJECT, stop)
    return stop


def _value(data: bytes, at: int, end: int, depth: int) -> int:
    """Where the value that begins at ``at`` ends."""
    open_ones: list[bytes] = []
    while True:
        opening = data[at : at + 1] if at < end else b""
        if opening in (b"{", b"["):
            at = _opened(data, at, end, open_ones, depth)
            if at >= 0:
                continue
            at = -at
        else:
            at = _scalar(data, at, end, opening)
        while open_ones:
            at = _after(_SPACE, data, at, end)
            if at < end and data[at : at + 1] == b",":
                at = _after(_SPACE, data, at + 1, end)
                at = _name(data, at, end) if open_ones[-1] == b"}" else at
                break
            if at >= end or data[at : at + 1] != open_ones[-1]:
                raise _Trouble(NOT_JSON, at)
            open_ones.pop()
            at += 1
        else:
            return at


def _opened(data: bytes, at: int, end: int, open_ones: list[bytes], depth: int) -> int:
    """Where the first value inside begins; minus where the value ends if there is none inside."""
    if len(open_ones) >= depth:
        raise _Trouble(TOO_DEEP, at)
    closing = b"}" if data[at : at + 1] == b"{" else b"]"
    at = _after(_SPACE, data, at + 1, end)
    if at < end and data[at : at + 1] == closing:
        return -(at + 1)
    open_ones.append(closing)
    return _name(data, at, end) if closing == b"}" else at


def _name(data: bytes, at: int, end: int) -> int:
    if at >= end or data[at : at + 1] != b'"':
        raise _Trouble(NOT_JSON, at)
    at = _after(_SPACE, data, _string(data, at, end), end)
    if at >= end or data[at : at + 1] != b":":
        raise _Trouble(NOT_JSON, at)
    return _after(_SPACE, data, at + 1, end)


def _scalar(data: bytes, at: int, end: int, opening: bytes) -> int:
    if opening == b'"':
        return _string(data, at, end)
    found = _WORD.match(data, at, end) or _NUMBER.match(data, at, end)
    if found is None:
        raise _Trouble(NOT_JSON, at)
    return found.end()


def _string(data: bytes, at: int, end: int) -> int:
    found = _PLAIN.match(data, at, end)
    if found is None:
        raise _Trouble(NOT_JSON, at)
    text = found.group()
    try:
        text.decode("utf-8")
        for run in _SURROGATES.finditer(text):
            bytes.fromhex(run.group(1).replace(b"\\u", b"").decode()).decode("utf-16-be")
    except UnicodeDecodeError:
        raise _Trouble(NOT_JSON, at) from None
    return found.end()
