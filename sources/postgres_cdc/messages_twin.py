"""What ``_messages`` and ``_rows`` do, in plain Python: their oracle, and what runs where no compiler is."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import numpy as np

_XLOG_HEADER = 25
_LEAST = {"B": 21, "C": 26, "T": 6, "I": 8, "U": 8, "D": 8}
_TYPES = {2: np.uint8, 3: np.int16, 4: np.int32, 5: np.int64, 6: np.uint32, 7: np.int32, 8: np.int64, 9: np.int64}
_INTEGERS = {3: range(-(2**15), 2**15), 4: range(-(2**31), 2**31), 5: range(-(2**63), 2**63), 6: range(2**32)}
_INFINITE = {"infinity", "-infinity"}
_DATE = re.compile(r"(\d{4,9})-(\d\d)-(\d\d)")
_TIME = re.compile(r"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?")
_WRONG = "a message of the replication stream cannot be read"

Carried = tuple[bool, int, int, int, int]


def scan(data: Any, carried: Carried) -> tuple[Any, ...]:
    """See ``_messages.scan``."""
    inside, commit, time_us, xid, done = carried
    changes: list[tuple[int, ...]] = []
    transactions: list[list[int]] = [[commit, 0, time_us, xid]] if inside else []
    relations: list[tuple[int, int, int]] = []
    end, reply = 0, False
    for message, at in _frames(bytes(data)):
        if message[:1] == b"k":
            told, _, asked = struct.unpack_from(">qqB", message, 1)
            end, reply = end if inside else max(end, told), reply or asked != 0
            continue
        letter, payload, at = _payload(message, at)
        (lsn,) = struct.unpack_from(">q", message, 1)
        if (letter in "IUDT" and not inside) or (letter == "B" and inside) or (letter == "C" and not inside):
            raise ValueError(_WRONG)
        if letter == "B":
            commit, time_us, xid = struct.unpack_from(">qqI", payload, 1)
            inside, done = True, 0
            transactions.append([commit, 0, time_us, xid])
        elif letter == "C":
            (end,) = struct.unpack_from(">q", payload, 10)
            inside, transactions[-1][1] = False, end
        elif letter == "R":
            relations.append((len(changes), at, len(payload)))
        elif letter in "IUDT":
            for change in _changes(letter, payload, at):
                changes.append((*change[:1], ord(letter), lsn, len(transactions) - 1, done, *change[1:]))
                done += 1
    columns = np.array(changes, np.int64).reshape(-1, 8).T
    return (
        columns,
        np.array(transactions, np.int64).reshape(-1, 4).T,
        relations,
        end,
        reply,
        (inside, commit, time_us, xid, done),
    )


def _frames(data: bytes) -> Iterator[tuple[bytes, int]]:
    at = 0
    while at < len(data):
        length = int(np.frombuffer(data[at : at + 4], np.uint32)[0]) if len(data) - at >= 4 else 0
        at += 4
        message = data[at : at + length]
        if length < 1 or len(message) < length or (message[:1] == b"k" and length < 18):
            raise ValueError(_WRONG)
        yield message, at
        at += length


def _payload(message: bytes, at: int) -> tuple[str, bytes, int]:
    payload = message[_XLOG_HEADER:]
    letter = chr(payload[0]) if payload else ""
    if message[:1] != b"w" or not payload or len(payload) < _LEAST.get(letter, 1):
        raise ValueError(_WRONG)
    return letter, payload, at + _XLOG_HEADER


def _changes(letter: str, payload: bytes, at: int) -> list[tuple[int, int, int, int]]:
    """Relation, place of the old row, whether it is whole, place of the new row."""
    (number,) = struct.unpack_from(">I", payload, 1)
    if letter == "T":
        if len(payload) - 6 < 4 * number:
            raise ValueError(_WRONG)
        return [(relation, -1, 0, -1) for relation in struct.unpack_from(f">{number}I", payload, 6)]
    old, whole, new, place = -1, 0, -1, 5
    if payload[place : place + 1] in (b"K", b"O") and letter != "I":
        old, whole = at + place + 1, int(payload[place] == ord("O"))
        place = _after_row(payload, place + 1)
    if letter != "D":
        if payload[place : place + 1] != b"N":
            raise ValueError(_WRONG)
        new = at + place + 1
        place = _after_row(payload, place + 1)
    if place != len(payload) or (letter == "D" and old < 0):
        raise ValueError(_WRONG)
    return [(number, old, whole, new)]


def _after_row(payload: bytes, at: int) -> int:
    return _row(payload, at, len(payload))[1]


def _row(data: bytes, at: int, end: int) -> tuple[list[tuple[str, bytes]], int]:
    values = []
    try:
        (count,) = struct.unpack_from(">H", data[:end], at)
        at += 2
        for _ in range(count):
            letter, length = chr(data[at]), 0
            at += 1
            if letter == "t":
                (length,) = struct.unpack_from(">I", data[:end], at)
                at += 4
            if letter not in "tnu" or end - at < length:
                raise ValueError(_WRONG)
            values.append((letter, data[at : at + length]))
            at += length
    except (struct.error, IndexError):
        raise ValueError(_WRONG) from None
    return values, at


def read_rows(data: Any, places: Any, kinds: Sequence[int]) -> tuple[list[Any], np.ndarray]:
    """See ``_rows.read_rows``."""
    content = bytes(data)
    refused = np.zeros(len(places), np.int32)
    columns: list[list[tuple[str, Any]]] = [[] for _ in kinds]
    for number, place in enumerate(places):
        row = [("n", b"")] * len(kinds) if place < 0 else _row(content, int(place), len(content))[0]
        if len(row) != len(kinds):
            raise ValueError(f"row {number} of {len(places)} is not of the table's columns")
        for field, (kind, (letter, text)) in enumerate(zip(kinds, row, strict=True)):
            value = _value(int(kind), text) if letter == "t" else None
            if letter == "t" and value is None and not refused[number]:
                refused[number] = field + 1
            columns[field].append((letter, value))
    return [_column(int(kind), column) for kind, column in zip(kinds, columns, strict=True)], refused


def _column(kind: int, column: list[tuple[str, Any]]) -> tuple[np.ndarray, ...]:
    present = np.array([value is not None for _, value in column], np.uint8)
    unsent = np.array([letter == "u" for letter, _ in column], np.uint8)
    values = [value for _, value in column]
    if kind > 1:
        filled = np.array([0 if value is None else value for value in values], _TYPES[kind])
        return filled.view(np.uint8), present, unsent
    texts = [value or b"" for value in values]
    offsets = np.concatenate(([0], np.cumsum([len(text) for text in texts]))).astype(np.int32)
    return offsets, np.frombuffer(b"".join(texts), np.uint8), present, unsent


def _value(kind: int, text: bytes) -> Any:
    """None where the type cannot hold it; raises ``ValueError`` where it is none."""
    if kind == 0:
        return text
    words = text.decode("latin-1")
    if kind == 1:
        if words[:2] != "\\x" or not re.fullmatch(r"(?:[0-9a-f]{2})*", words[2:]):
            raise ValueError("a value of bytea is not hexadecimal")
        return bytes.fromhex(words[2:])
    if kind == 2:
        return {"t": 1, "f": 0}[words] if words in ("t", "f") else _wrong()
    if kind in _INTEGERS:
        return _integer(words, _INTEGERS[kind])
    if kind == 8:
        return _time_us(words)
    if words in _INFINITE:
        return None
    return _days(words) if kind == 7 else _timestamp_us(words)


def _wrong() -> Any:
    raise ValueError("a value is not of its column's type")


def _integer(words: str, known: range) -> Any:
    if not re.fullmatch(r"-?\d{1,19}", words, re.ASCII) or int(words) not in known:
        _wrong()
    return int(words)


def _days(words: str) -> int:
    match = _DATE.fullmatch(words.removesuffix(" BC"))
    if match is None:
        return int(_wrong())
    year, month, day = map(int, match.groups())
    year = 1 - year if words.endswith(" BC") else year
    cycles = (year - 1600) // 400
    first = date(year - 400 * cycles, month, 1).toordinal() - date(1970, 1, 1).toordinal()
    return first + day - 1 + 146_097 * cycles


def _time_us(words: str) -> int:
    match = _TIME.fullmatch(words)
    if match is None:
        return int(_wrong())
    hour, minute, second, fraction = match.groups()
    return ((int(hour) * 60 + int(minute)) * 60 + int(second)) * 1_000_000 + int((fraction or "").ljust(6, "0"))


def _timestamp_us(words: str) -> int | None:
    era = " BC" if words.endswith(" BC") else ""
    day, separator, time = words.removesuffix(" BC").partition(" ")
    if not separator:
        _wrong()
    total = _days(day + era) * 86_400_000_000 + _time_us(time.removesuffix("+00"))
    return total if total < 2**63 else None
