"""How the rows of a table are read from the binlog, column by column, into the types that an import gives."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa

from ingest.errors import ConnectorError
from ingest.sources.mysql import types
from ingest.sources.mysql.columns import Decoded, array_of
from ingest.sources.mysql_cdc import table_map
from ingest.sources.mysql_cdc.row_images_twin import (
    BITS,
    BYTES,
    DATE,
    DATETIME,
    DATETIME2,
    DECIMAL,
    INT1,
    INT2,
    INT3,
    INT4,
    INT8,
    NUMBER,
    SLICE,
    TEXT,
    TIME,
    TIME2,
    TIMESTAMP,
    TIMESTAMP2,
    YEAR,
)
from ingest.sources.mysql_cdc.table_map import MappedColumn

Finish = Callable[[pa.Array], tuple[pa.Array, np.ndarray | None]]
"""From what the kernel gives to the column; the array marks values that the type cannot hold."""

_INTEGERS = {types.TINY: INT1, types.SHORT: INT2, types.INT24: INT3, types.LONG: INT4, types.LONGLONG: INT8}
_PLAIN: dict[int, tuple[int, pa.DataType]] = {
    types.FLOAT: (INT4, pa.float32()),
    types.DOUBLE: (INT8, pa.float64()),
    types.YEAR: (YEAR, pa.int16()),
    types.DATE: (DATE, pa.date32()),
    types.TIME: (TIME, types.CLOCK),
    types.DATETIME: (DATETIME, types.MOMENT),
    types.TIMESTAMP: (TIMESTAMP, types.UTC),
    table_map.TIME2: (TIME2, types.CLOCK),
    table_map.DATETIME2: (DATETIME2, types.MOMENT),
    table_map.TIMESTAMP2: (TIMESTAMP2, types.UTC),
}
_MOST_DIGITS = 38


@dataclass(frozen=True, slots=True)
class LoggedColumn:
    """``wire`` is (kind, size, scale) as the kernel has them; ``finish`` what is left to do, None for nothing."""

    name: str
    wire: tuple[int, int, int]
    decoded: Decoded
    type: pa.DataType
    finish: Finish | None = None

    def column(self, count: int, parts: Sequence[np.ndarray]) -> tuple[pa.Array, np.ndarray | None]:
        """Of the kernel's buffers."""
        array = array_of(self.decoded, count, *parts)
        return (array, None) if self.finish is None else self.finish(array)


def logged_column(
    mapped: MappedColumn, data_type: str, charset: str, decode: Callable[[str], Callable[[bytes], str]]
) -> LoggedColumn:
    """``data_type`` is the catalogue's name of the type, for what the log does not tell apart; ``charset`` that of its
    texts, "" for bytes; ``decode`` gives the decoder of a character set. Raises ``ConnectorError``."""
    name, code = mapped.name, mapped.type
    if code in _INTEGERS:
        kind = types.integer(code, unsigned=mapped.unsigned)
        return LoggedColumn(name, (_INTEGERS[code], 0, int(mapped.unsigned)), Decoded(kind), kind)
    if code in _PLAIN:
        number, kind = _PLAIN[code]
        return LoggedColumn(name, (number, 0, mapped.meta[0] if mapped.meta else 0), Decoded(kind), kind)
    if code == types.NEWDECIMAL:
        return _decimal(name, *mapped.meta)
    if code == types.BIT:
        bits = mapped.meta[0] + 8 * mapped.meta[1]
        return LoggedColumn(name, (BITS, (bits + 7) // 8, 0), Decoded(pa.string(), bits=bits), pa.string())
    if code in (table_map.ENUM, table_map.SET):
        return _of_members(mapped, decode(charset))
    if code == types.JSON:
        size = int.from_bytes(mapped.meta, "little")
        return LoggedColumn(name, (BYTES, size, 0), Decoded(pa.binary()), pa.string(), _printed_json)
    if code in (table_map.BLOB_COMPRESSED, table_map.VARCHAR_COMPRESSED):
        raise ConnectorError(f"column {name}: COMPRESSED columns cannot be read from the binlog yet")
    return _of_bytes(mapped, data_type, charset, decode)


def _decimal(name: str, precision: int, scale: int) -> LoggedColumn:
    kind = types.decimal(precision, scale)
    if precision <= _MOST_DIGITS:
        return LoggedColumn(name, (DECIMAL, precision, scale), Decoded(kind), kind)
    size = sum(_digit_bytes(digits) for digits in (precision - scale, scale))

    def finish(column: pa.Array) -> tuple[pa.Array, None]:
        values = [None if each is None else _wide(each, precision, scale) for each in column.to_pylist()]
        return pa.array(values, kind), None

    return LoggedColumn(name, (SLICE, size, 0), Decoded(pa.binary()), kind, finish)


def _digit_bytes(digits: int) -> int:
    return digits // 9 * 4 + (0, 1, 1, 2, 2, 3, 3, 4, 4)[digits % 9]


def _wide(content: bytes, precision: int, scale: int) -> Decimal:
    """As the kernel's decimals, of more digits."""
    negative = not content[0] & 0x80
    content = bytes([content[0] ^ 0x80]) + content[1:]
    if negative:
        content = bytes(byte ^ 0xFF for byte in content)
    whole = precision - scale
    groups = [whole % 9, *[9] * (whole // 9 + scale // 9), scale % 9]
    number, at = 0, 0
    for digits in groups:
        size = _digit_bytes(digits)
        number = number * 10**digits + int.from_bytes(content[at : at + size], "big")
        at += size
    return Decimal((int(negative), tuple(map(int, str(number))), -scale))


def _printed_json(column: pa.Array) -> tuple[pa.Array, np.ndarray | None]:
    from ingest.sources.mysql_cdc.json_values import printed

    return printed(column, _wide)


def _of_members(mapped: MappedColumn, decode: Callable[[bytes], str]) -> LoggedColumn:
    members = [decode(member) for member in mapped.members]
    size = mapped.meta[0]

    def one(numbers: pa.Array) -> tuple[pa.Array, np.ndarray | None]:
        """Number 0 is the empty text that stands for a value that was none of them."""
        bad = np.asarray(numbers.fill_null(0)) > len(members)
        places = pa.array(np.where(bad, 0, np.asarray(numbers.fill_null(0))), mask=np.asarray(numbers.is_null()) | bad)
        return pa.array(["", *members]).take(places), bad if bad.any() else None

    def several(numbers: pa.Array) -> tuple[pa.Array, None]:
        encoded = numbers.dictionary_encode()
        texts = [
            ",".join(member for place, member in enumerate(members) if number >> place & 1)
            for number in encoded.dictionary.to_pylist()
        ]
        return pa.array(texts, pa.string()).take(encoded.indices), None

    finish: Finish = one if mapped.type == table_map.ENUM else several
    return LoggedColumn(mapped.name, (NUMBER, size, 0), Decoded(pa.uint64()), pa.string(), finish)


def _of_bytes(
    mapped: MappedColumn, data_type: str, charset: str, decode: Callable[[str], Callable[[bytes], str]]
) -> LoggedColumn:
    from ingest.sources.mysql_cdc.charsets import is_utf8, transcoder

    width = int.from_bytes(mapped.meta, "little")
    is_string = mapped.type == table_map.STRING
    size = (1 if width < 256 else 2) if is_string or mapped.type in (table_map.VARCHAR, table_map.VAR_STRING) else width
    name = mapped.name
    if charset and mapped.type != types.GEOMETRY:
        if is_utf8(charset):
            return LoggedColumn(name, (TEXT, size, 0), Decoded(pa.string()), pa.string())
        finish = transcoder(decode(charset))
        return LoggedColumn(name, (BYTES, size, 0), Decoded(pa.binary()), pa.string(), finish)
    if is_string and data_type in _PRINTED:
        printed = _PRINTED[data_type]
        finish_printed: Finish = lambda column: (printed(padded(column, width)), None)  # noqa: E731 - short
        return LoggedColumn(name, (BYTES, size, 0), Decoded(pa.binary()), pa.string(), finish_printed)
    if is_string:
        return LoggedColumn(
            name, (BYTES, size, 0), Decoded(pa.binary()), pa.binary(), lambda column: (padded(column, width), None)
        )
    return LoggedColumn(name, (BYTES, size, 0), Decoded(pa.binary()), pa.binary())


def padded(column: pa.Array, width: int) -> pa.Array:
    """The log drops zeros at the end of a BINARY(n)."""
    offsets = np.frombuffer(column.buffers()[1], np.int32)[: len(column) + 1]
    lengths = np.diff(offsets)
    missing = np.asarray(column.is_null())
    if ((lengths == width) | missing).all():
        return column
    whole = np.zeros((len(column), width), np.uint8)
    whole[np.arange(width) < lengths[:, None]] = np.frombuffer(column.buffers()[2], np.uint8)[: offsets[-1]]
    fixed = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(column), [column.buffers()[0], pa.py_buffer(whole)]
    )
    return fixed.cast(pa.binary())


def _uuids(column: pa.Array) -> pa.Array:
    texts = []
    for each in column.to_pylist():
        digits = None if each is None else each.hex()
        texts.append(digits and f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}")
    return pa.array(texts, pa.string())


def _addresses(family: socket.AddressFamily) -> Callable[[pa.Array], pa.Array]:
    def printed(column: pa.Array) -> pa.Array:
        encoded = column.dictionary_encode()
        texts = [socket.inet_ntop(family, each) for each in encoded.dictionary.to_pylist()]
        return pa.array(texts, pa.string()).take(encoded.indices)

    return printed


_PRINTED: dict[str, Callable[[pa.Array], pa.Array]] = {
    "uuid": _uuids,
    "inet6": _addresses(socket.AF_INET6),
    "inet4": _addresses(socket.AF_INET),
}
