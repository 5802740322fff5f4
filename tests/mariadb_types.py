"""A value of each type of MariaDB and MySQL, what it becomes, and values that become nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa

NOON = datetime(2026, 1, 31, 12, 0, 0, 123456)

TYPES: list[tuple[str, str, pa.DataType, object]] = [
    ("tinyint", "-128", pa.int8(), -128),
    ("tinyint(1)", "7", pa.int8(), 7),
    ("tinyint unsigned", "255", pa.uint8(), 255),
    ("smallint", "-32768", pa.int16(), -32768),
    ("smallint unsigned", "65535", pa.uint16(), 65535),
    ("mediumint", "-8388608", pa.int32(), -8388608),
    ("mediumint unsigned", "16777215", pa.uint32(), 16777215),
    ("int", "-2147483648", pa.int32(), -2147483648),
    ("int unsigned", "4294967295", pa.uint32(), 4294967295),
    ("int(5) unsigned zerofill", "42", pa.uint32(), 42),
    ("bigint", "-9223372036854775808", pa.int64(), -(2**63)),
    ("bigint unsigned", "18446744073709551615", pa.uint64(), 2**64 - 1),
    ("float", "1e-20", pa.float32(), 9.999999682655225e-21),
    ("float", "16777217", pa.float32(), 16777216.0),
    ("double", "1e300", pa.float64(), 1e300),
    ("decimal(10,2)", "-12345678.90", pa.decimal128(10, 2), Decimal("-12345678.90")),
    ("decimal(10,2) unsigned", "12345678.90", pa.decimal128(10, 2), Decimal("12345678.90")),
    ("decimal(38,38)", "0.00000000000000000000000000000000000001", pa.decimal128(38, 38), Decimal("1E-38")),
    ("decimal(38,0)", "-" + "9" * 38, pa.decimal128(38, 0), Decimal("-" + "9" * 38)),
    ("decimal(65,30)", "9" * 35 + "." + "9" * 30, pa.decimal256(65, 30), Decimal("9" * 35 + "." + "9" * 30)),
    ("bit(1)", "b'1'", pa.string(), "1"),
    ("bit(10)", "b'1000000001'", pa.string(), "1000000001"),
    ("bit(64)", "b'1'", pa.string(), "1".zfill(64)),
    ("char(3)", "'a '", pa.string(), "a"),
    ("varchar(9)", "'é🙂 '", pa.string(), "é🙂 "),
    ("varchar(9) CHARACTER SET latin1", "'é€'", pa.string(), "é€"),
    ("varchar(9) CHARACTER SET utf16", "'é🙂'", pa.string(), "é🙂"),
    ("text", "''", pa.string(), ""),
    ("longtext", "REPEAT('x', 70000)", pa.string(), "x" * 70000),
    ("binary(4)", "x'00ff'", pa.binary(), b"\0\xff\0\0"),
    ("varbinary(4)", "x'00ff'", pa.binary(), b"\0\xff"),
    ("longblob", "x'00ff'", pa.binary(), b"\0\xff"),
    ("enum('x','é')", "'é'", pa.string(), "é"),
    ("set('a','b','c')", "'c,a'", pa.string(), "a,c"),
    ("json", """'{"b":1.10, "a":1}'""", pa.string(), '{"b":1.10, "a":1}'),
    ("uuid", "'123e4567-e89b-12d3-a456-426614174000'", pa.string(), "123e4567-e89b-12d3-a456-426614174000"),
    ("inet6", "'::1'", pa.string(), "::1"),
    ("inet4", "'10.0.0.1'", pa.string(), "10.0.0.1"),
    ("date", "'0001-01-01'", pa.date32(), date(1, 1, 1)),
    ("date", "'9999-12-31'", pa.date32(), date(9999, 12, 31)),
    ("time(6)", "'23:59:59.999999'", pa.time64("us"), time(23, 59, 59, 999999)),
    ("time", "'00:00:00'", pa.time64("us"), time(0)),
    ("datetime", "'1000-01-01'", pa.timestamp("us"), datetime(1000, 1, 1)),
    ("datetime(6)", "'2026-01-31 12:00:00.123456'", pa.timestamp("us"), NOON),
    ("timestamp(6) NULL", "'2026-01-31 12:00:00.123456'", pa.timestamp("us", "UTC"), NOON.replace(tzinfo=UTC)),
    ("year", "2026", pa.int16(), 2026),
    ("year", "0", pa.int16(), 0),
    ("point", "POINT(1, 2)", pa.binary(), bytes.fromhex("000000000101000000000000000000f03f0000000000000040")),
]
"""As it is declared and written in SQL; the column's type and the value in a record."""

_OF_MARIADB_ALONE = ("uuid", "inet6", "inet4", "json", "decimal(38,38)")
_OF_MYSQL_ALONE = [("json", """'{"b":1.10, "a":1}'""", pa.string(), '{"a": 1, "b": 1.1}')]


def types_of(title: str) -> list[tuple[str, str, pa.DataType, object]]:
    """As ``TYPES``, of a server of this name. MySQL keeps the meaning of a JSON text, not the text."""
    if title == "MariaDB":
        return TYPES
    return [each for each in TYPES if each[0] not in _OF_MARIADB_ALONE] + _OF_MYSQL_ALONE


REFUSED = [
    ("date", "'0000-00-00'"),
    ("date", "'2026-00-10'"),
    ("date", "'2026-02-31'"),
    ("datetime", "'0000-00-00 00:00:00'"),
    ("timestamp", "'0000-00-00 00:00:00'"),
    ("time", "'24:00:00'"),
    ("time(3)", "'-838:59:59.123'"),
    ("time(6)", "'-00:00:00.000001'"),
]
"""As they are declared and written in SQL, where the server is told to let them in."""
