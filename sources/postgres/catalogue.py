"""What a PostgreSQL database holds: tables, their columns and keys, as one transaction sees them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ingest.sources.databases.tables import TableInfo, quoted, wanted
from ingest.sources.postgres.types import CopiedColumn, copied_column

_TABLES = """
SELECT n.nspname, c.relname, c.relispartition
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1, 2"""
_KEY = """
SELECT a.attname FROM pg_index i
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indisprimary AND i.indrelid = to_regclass(%s)
ORDER BY array_position(i.indkey::int2[], a.attnum)"""
_PAGES = """
SELECT pg_relation_size(oid) / current_setting('block_size')::int
FROM pg_class WHERE oid = to_regclass(%s) AND relkind IN ('r', 'm')"""


def known_tables(connection: Any) -> list[tuple[TableInfo, bool]]:
    """Tables, views, materialised and foreign ones; with each whether it is a partition of another."""
    return [
        (TableInfo(schema, name, f"{quoted(schema)}.{quoted(name)}"), partition)
        for schema, name, partition in connection.execute(_TABLES)
    ]


def described(connection: Any, relation: str, columns: Sequence[str] | None, name: str) -> list[CopiedColumn]:
    """The columns of what stands behind FROM. Takes the lock that keeps others from altering it meanwhile."""
    result = connection.execute(f"SELECT * FROM {relation} LIMIT 0").pgresult  # noqa: S608 - quoted, or the user's own query
    numbers = range(result.nfields)
    types = dict(
        connection.execute(
            "SELECT oid::int8, typname FROM pg_type WHERE oid = ANY(%s::oid[])", [[result.ftype(i) for i in numbers]]
        )
    )
    found = {
        result.fname(i).decode(): copied_column(result.fname(i).decode(), types[result.ftype(i)], result.fmod(i))
        for i in numbers
    }
    return [found[column] for column in wanted(list(found), columns, name)]


def key_of(connection: Any, relation: str) -> list[str]:
    """The columns of its primary key, in the key's order."""
    return [name for (name,) in connection.execute(_KEY, [relation])]


def ranges_of(connection: Any, relation: str, most: int) -> list[str]:
    """Conditions that divide a table into about equal ranges of its pages; each row meets exactly one."""
    if most == 1:
        return [""]
    found = connection.execute(_PAGES, [relation]).fetchone()
    pages = int(found[0]) if found and connection.info.server_version >= 140_000 else 0
    count = max(1, min(most, pages // _LEAST_PAGES))
    if count == 1:
        return [""]
    bounds = [pages * number // count for number in range(1, count)]
    first, last = f"ctid < '({bounds[0]},0)'", f"ctid >= '({bounds[-1]},0)'"
    between = [f"ctid >= '({a},0)' AND ctid < '({b},0)'" for a, b in pairwise(bounds)]
    return [first, *between, last]


def counted_rows(connection: Any, relation: str) -> int | None:
    """How many rows a table had when the server counted last; None if it never did."""
    query = "SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(%s) AND relkind IN ('r', 'm')"
    found = connection.execute(query, [relation]).fetchone()
    return int(found[0]) if found and found[0] > 0 else None


def sample_of(connection: Any, relation: str, rows: int) -> str:
    """TABLESAMPLE for about so many rows, as far as the server has counted; nothing where it cannot sample."""
    query = "SELECT reltuples FROM pg_class WHERE oid = to_regclass(%s) AND relkind IN ('r', 'm')"
    found = connection.execute(query, [relation]).fetchone()
    if not found or found[0] <= rows:
        return ""
    return f" TABLESAMPLE SYSTEM ({max(0.001, 100 * rows / found[0]):.6f}) REPEATABLE (1)"


_LEAST_PAGES = 256
"""Of a range: 2 MiB. Below that a statement costs more than it spares."""
