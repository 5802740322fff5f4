"""What a binlog says of a table before its rows: types of the columns, and with FULL metadata names, too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ingest.errors import DecodeFailed
from ingest.sources.mysql import types

VARCHAR, TIMESTAMP2, DATETIME2, TIME2 = 15, 17, 18, 19
BLOB_COMPRESSED, VARCHAR_COMPRESSED, VECTOR = 140, 141, 242
ENUM, SET, TINY_BLOB, MEDIUM_BLOB, LONG_BLOB, BLOB, VAR_STRING, STRING = 247, 248, 249, 250, 251, 252, 253, 254
"""Types that only a binlog has, and those whose numbers the protocol uses otherwise."""

_ONE_BYTE = {types.FLOAT, types.DOUBLE, TIMESTAMP2, DATETIME2, TIME2, BLOB, TINY_BLOB, MEDIUM_BLOB, LONG_BLOB}
_ONE_BYTE |= {types.JSON, types.GEOMETRY, BLOB_COMPRESSED, VECTOR}
_TWO_BYTES = {VARCHAR, VARCHAR_COMPRESSED, VAR_STRING, STRING, types.BIT, types.NEWDECIMAL, ENUM, SET}
_NUMERIC = {
    types.TINY,
    types.SHORT,
    types.INT24,
    types.LONG,
    types.LONGLONG,
    types.NEWDECIMAL,
    types.FLOAT,
    types.DOUBLE,
}
_OF_CHARACTERS = {
    VARCHAR,
    VARCHAR_COMPRESSED,
    VAR_STRING,
    STRING,
    BLOB,
    BLOB_COMPRESSED,
    TINY_BLOB,
    MEDIUM_BLOB,
    LONG_BLOB,
}
_ALSO_IN_MARIADB = {types.YEAR, types.GEOMETRY}
"""Numeric the one and of characters the other; in MySQL's log neither."""
_SIGNEDNESS, _DEFAULT_CHARSET, _COLUMN_CHARSET, _NAMES, _SETS, _ENUMS = 1, 2, 3, 4, 5, 6
_SIMPLE_KEY, _PREFIX_KEY, _DEFAULT_OF_MEMBERS, _OF_MEMBERS = 8, 9, 10, 11


@dataclass(slots=True)
class MappedColumn:
    """``type`` is the real one of what is logged as STRING; ``meta`` holds the bytes that belong to it.

    What stands behind is known with FULL metadata only: without it ``name`` is empty.
    """

    type: int
    meta: bytes
    name: str = ""
    unsigned: bool = False
    collation: int = 0
    members: Sequence[bytes] = ()


@dataclass(slots=True)
class TableMap:
    """``key`` are the names of the primary key's columns; None if the event does not tell."""

    number: int
    schema: str
    table: str
    columns: list[MappedColumn] = field(default_factory=list)
    key: list[str] | None = None

    @property
    def named(self) -> bool:
        """Whether the event tells names (binlog_row_metadata=FULL)."""
        return bool(self.columns) and bool(self.columns[0].name)


class _Bytes:
    """Read from the beginning; raises ``DecodeFailed`` at the end."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def take(self, size: int) -> bytes:
        if size > len(self.content) - self.at:
            raise DecodeFailed("a table map event ends too early")
        self.at += size
        return self.content[self.at - size : self.at]

    def number(self) -> int:
        first = self.take(1)[0]
        if first < 0xFB:
            return first
        return int.from_bytes(self.take({0xFC: 2, 0xFD: 3}.get(first, 8)), "little")

    @property
    def left(self) -> bool:
        return self.at < len(self.content)

    def numbers(self) -> Iterator[int]:
        while self.left:
            yield self.number()

    def texts(self, count: int) -> list[bytes]:
        return [self.take(self.number()) for _ in range(count)]


def parsed(body: bytes, *, of_mariadb: bool) -> TableMap:
    """``body`` is the event between its head and its checksum. Raises ``DecodeFailed``."""
    content = _Bytes(body)
    number = int.from_bytes(content.take(6), "little")
    content.take(2)
    schema, table = (_name(content) for _ in range(2))
    found = TableMap(number, schema, table)
    kinds = content.take(content.number())
    metas = _Bytes(content.take(content.number()))
    for kind in kinds:
        size = 1 if kind in _ONE_BYTE else 2 if kind in _TWO_BYTES else 0
        found.columns.append(_column(kind, metas.take(size)))
    content.take((len(kinds) + 7) // 8)
    while content.left:
        kind = content.take(1)[0]
        _tell(found, kind, _Bytes(content.take(content.number())), _ALSO_IN_MARIADB if of_mariadb else set())
    return found


def _name(content: _Bytes) -> str:
    name = content.take(content.take(1)[0]).decode("utf-8", "replace")
    content.take(1)
    return name


def _column(kind: int, meta: bytes) -> MappedColumn:
    """A STRING's first byte is its real type; two of its bits belong to a length above 255."""
    if kind != STRING:
        return MappedColumn(kind, meta)
    first, second = meta
    if first & 0x30 != 0x30:
        length = second | (first & 0x30 ^ 0x30) << 4
        return MappedColumn(first | 0x30, length.to_bytes(2, "little"))
    return MappedColumn(first, bytes([second, 0]))


def _tell(found: TableMap, kind: int, content: _Bytes, also: set[int]) -> None:
    if kind == _SIGNEDNESS:
        numeric = [column for column in found.columns if column.type in _NUMERIC | also - {types.GEOMETRY}]
        for place, column in enumerate(numeric):
            column.unsigned = bool(content.content[place // 8] >> (7 - place % 8) & 1)
    elif kind in (_DEFAULT_CHARSET, _COLUMN_CHARSET):
        of_characters = _OF_CHARACTERS | also - {types.YEAR}
        _tell_collations([column for column in found.columns if column.type in of_characters], kind, content)
    elif kind in (_DEFAULT_OF_MEMBERS, _OF_MEMBERS):
        _tell_collations([column for column in found.columns if column.type in (ENUM, SET)], kind, content)
    elif kind == _NAMES:
        for column, name in zip(found.columns, content.texts(len(found.columns)), strict=True):
            column.name = name.decode("utf-8", "replace")
    elif kind in (_SETS, _ENUMS):
        _tell_members(found, SET if kind == _SETS else ENUM, content)
    elif kind in (_SIMPLE_KEY, _PREFIX_KEY):
        numbers = list(content.numbers())
        places = numbers if kind == _SIMPLE_KEY else numbers[::2]
        found.key = [found.columns[place].name for place in places]


def _tell_members(found: TableMap, kind: int, content: _Bytes) -> None:
    for column in (each for each in found.columns if each.type == kind):
        column.members = content.texts(content.number())


def _tell_collations(columns: list[MappedColumn], kind: int, content: _Bytes) -> None:
    numbers = list(content.numbers())
    if kind in (_COLUMN_CHARSET, _OF_MEMBERS):
        for column, collation in zip(columns, numbers, strict=True):
            column.collation = collation
        return
    for column in columns:
        column.collation = numbers[0]
    for place, collation in zip(numbers[1::2], numbers[2::2], strict=True):
        columns[place].collation = collation
