"""Ranges of a table's primary key that hold about as many rows each."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from ingest.sources.databases.tables import TableInfo
from ingest.sources.mysql.catalogue import quoted
from ingest.sources.mysql.session import run

_LEAST_BYTES = 2 * 1024 * 1024
"""Of a range: below that a statement costs more than it spares."""
_STEPS = 24
"""Of a search for a bound: a range is right to a part in 16 million of the key's span, or the estimate is worse."""
_SIZE = """
SELECT COALESCE(TABLE_ROWS, 0), COALESCE(DATA_LENGTH, 0) FROM information_schema.TABLES
WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"""
_TYPE = """
SELECT DATA_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND COLUMN_NAME = %s"""
_INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint")
_BINARY = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")


def ranges_of(connection: Any, table: TableInfo, key: str, most: int) -> list[str]:
    """Conditions on the key's first column that divide the table; each row meets exactly one."""
    place = [table.schema, table.name]
    ((rows, size),) = run(connection, _SIZE, [*place]) or ((0, 0),)
    count = max(1, min(most, int(size) // _LEAST_BYTES))
    if count == 1:
        return [""]
    ((kind,),) = run(connection, _TYPE, [*place, key])
    if kind in _INTEGERS:
        bounds = [str(bound) for bound in _of_integers(connection, table, quoted(key), count)]
    else:
        bounds = _by_counting(connection, table, quoted(key), kind in _BINARY, int(rows) // count, count)
    return _conditions(quoted(key), bounds)


def _conditions(key: str, bounds: list[str]) -> list[str]:
    if not bounds:
        return [""]
    between = [f"{key} >= {a} AND {key} < {b}" for a, b in pairwise(bounds)]
    return [f"{key} < {bounds[0]}", *between, f"{key} >= {bounds[-1]}"]


def _of_integers(connection: Any, table: TableInfo, key: str, count: int) -> list[int]:
    """By what the index itself estimates, without reading it: keys have gaps and clusters."""
    ((low, high),) = run(connection, f"SELECT MIN({key}), MAX({key}) FROM {table.relation}")  # noqa: S608 - quoted
    if low is None:
        return []
    whole = _estimated(connection, table, key, int(high) + 1)
    found: list[int] = []
    for number in range(1, count):
        wanted = whole * number // count
        below, above = found[-1] if found else int(low), int(high)
        for _ in range(_STEPS):
            if above - below <= 1:
                break
            middle = (below + above) // 2
            if _estimated(connection, table, key, middle) < wanted:
                below = middle
            else:
                above = middle
        if not found or above > found[-1]:
            found.append(above)
    return found


def _estimated(connection: Any, table: TableInfo, key: str, bound: int) -> int:
    query = f"EXPLAIN SELECT {key} FROM {table.relation} FORCE INDEX (PRIMARY) WHERE {key} < {bound}"  # noqa: S608 - quoted
    with connection.cursor() as cursor:
        cursor.execute(query)
        row = cursor.fetchone()
        names = [column[0] for column in cursor.description]
    return int(row[names.index("rows")] or 0)


def _by_counting(connection: Any, table: TableInfo, key: str, binary: bool, step: int, count: int) -> list[str]:
    """Texts and dates cannot be halved: the server steps through its index, and sends one key of each range."""
    literal = f"CONCAT('x''', HEX({key}), '''')" if binary else f"QUOTE({key})"
    found: list[str] = []
    for _ in range(1, count):
        behind = f" WHERE {key} >= {found[-1]}" if found else ""
        query = f"SELECT {literal} FROM {table.relation} FORCE INDEX (PRIMARY){behind} ORDER BY {key} LIMIT 1"  # noqa: S608 - quoted
        next_one = run(connection, f"{query} OFFSET {max(1, step)}")
        if not next_one:
            break
        if not found or next_one[0][0] != found[-1]:
            found.append(next_one[0][0])
    return found
