"""A table in pieces of about equal size: ranges of one column or of several, which every row meets exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from ingest.errors import ConnectorError
from ingest.sources.databases.reader import Piece, TableReader
from ingest.sources.databases.tables import TableInfo

_SAMPLED_ROWS = 20_000


def pieces_by(
    reader: TableReader, table: TableInfo, columns: Sequence[str], count: int, where: str | None
) -> list[Piece]:
    """At most ``count`` ranges of ``columns`` with about the same number of rows each, by a sample of the table."""
    known = {column.name for column in table.columns}
    for column in columns:
        if column not in known:
            raise ConnectorError(f"{table.stream}: the column {column} of split_by is not selected")
    if count == 1:
        return [Piece(table)]
    return ranges(reader, table, columns, quantiles(reader, table, columns, count, where))


def quantiles(
    reader: TableReader, table: TableInfo, columns: Sequence[str], count: int, where: str | None
) -> list[Sequence[Any]]:
    """Up to ``count - 1`` values that divide the rows evenly, in their order and each once."""
    names = ", ".join(reader.named(column) for column in columns)
    conditions = [f"{reader.named(column)} IS NOT NULL" for column in columns] + ([f"({where}\n)"] if where else [])
    condition = " AND ".join(conditions)
    source = f"{table.relation}{reader.sample(table, _SAMPLED_ROWS)}"
    numbered = (
        f"SELECT {names}, row_number() OVER (ORDER BY {names}) AS ingest_row, count(*) OVER () AS ingest_rows "  # noqa: S608 - quoted
        f"FROM {source} WHERE {condition}"
    )
    # Row number r begins another of ``count`` ranges where r * count / rows reaches another whole number.
    chosen = (
        f"SELECT {names} FROM ({numbered}) AS ingest_numbered "  # noqa: S608 - quoted
        f"WHERE ingest_row > 1 AND ((ingest_row - 1) * {count}) % ingest_rows < {count} ORDER BY {names}"
    )
    found: list[Sequence[Any]] = []
    for row in reader.ask(chosen):
        if not found or tuple(row) != tuple(found[-1]):
            found.append(row)
    return found


def boundaries(rows: Sequence[Sequence[Any]], count: int) -> list[Sequence[Any]]:
    """What a boundary query says: a boundary a row; or, as in Sqoop, one row with the least and the greatest value,
    between which ``count`` ranges of equal width lie."""
    if len(rows) == 1 and len(rows[0]) == 2:
        least, greatest = rows[0]
        return [] if least is None or greatest is None else [[value] for value in _between(least, greatest, count)]
    if any(len(row) != 1 or row[0] is None for row in rows):
        hint = "SELECT min(id), max(id) FROM t, or one column with a boundary a row"
        raise ConnectorError("boundary_query gives neither one row of two values nor a column", hint=hint)
    return [[value] for value in sorted({row[0] for row in rows})]


def _between(least: Any, greatest: Any, count: int) -> list[Any]:
    if isinstance(least, str) or type(least) is not type(greatest):
        hint = "a boundary a row divides texts; or leave boundary_query away, and quantiles are taken"
        raise ConnectorError("there is no width between the values of boundary_query", hint=hint)
    if isinstance(least, int):
        found = [least + (greatest - least) * part // count for part in range(1, count)]
    elif isinstance(least, float | Decimal):
        found = [least + (greatest - least) / count * part for part in range(1, count)]
    elif isinstance(least, date):  # a datetime is one
        width: timedelta = (greatest - least) / count
        found = [least + width * part for part in range(1, count)]
    else:
        raise ConnectorError(f"values of the type {type(least).__name__} have no width to divide")
    return sorted({value for value in found if value > least})


def ranges(
    reader: TableReader, table: TableInfo, columns: Sequence[str], bounds: Sequence[Sequence[Any]]
) -> list[Piece]:
    """One piece more than there are bounds; the first holds rows with nulls, too."""
    if not bounds:
        return [Piece(table)]
    least = [_at_least(reader, columns, bound) for bound in bounds]
    conditions = [_not(least[0])]
    for (this, bound), (after, upper) in pairwise(zip(least, bounds, strict=True)):
        # The first column alone once more, so that an index ends where the range does.
        end = f"{reader.named(columns[0])} <= {reader.literal(upper[0])}"
        conditions.append(f"{this} AND {end} AND {_not(after)}")
        assert bound is not upper
    conditions.append(least[-1])
    return [Piece(table, condition) for condition in conditions]


def _not(condition: str) -> str:
    """True also where ``condition`` is unknown, as with nulls."""
    return f"CASE WHEN {condition} THEN 0 ELSE 1 END = 1"


def _at_least(reader: TableReader, columns: Sequence[str], values: Sequence[Any]) -> str:
    names = [reader.named(column) for column in columns]
    literals = [reader.literal(value) for value in values]
    if len(names) == 1:
        return f"{names[0]} >= {literals[0]}"
    if reader.row_values:
        return f"({', '.join(names)}) >= ({', '.join(literals)})"
    equal, ways = "", []
    for place, (name, value) in enumerate(zip(names, literals, strict=True)):
        ways.append(f"{equal}{name} {'>=' if place == len(names) - 1 else '>'} {value}")
        equal += f"{name} = {value} AND "
    return "(" + " OR ".join(f"({way})" for way in ways) + ")"
