"""What a MariaDB server holds: tables, their columns and keys, as one transaction sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ingest.sources.databases.tables import TableInfo, wanted
from ingest.sources.mysql.packet_socket import PacketSocket
from ingest.sources.mysql.result_rows import ResultColumn
from ingest.sources.mysql.session import run
from ingest.sources.mysql.statements import Statement
from ingest.sources.mysql.types import result_column

_TABLES = """
SELECT TABLE_SCHEMA, TABLE_NAME, COALESCE(ENGINE, '') FROM information_schema.TABLES
WHERE TABLE_TYPE IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')
AND TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys') ORDER BY 1, 2"""
_COLUMNS = """
SELECT COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s
ORDER BY ORDINAL_POSITION"""
_KEY = """
SELECT COLUMN_NAME FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND INDEX_NAME = 'PRIMARY' ORDER BY SEQ_IN_INDEX"""


@dataclass(frozen=True, slots=True)
class KnownTable:
    """``engine`` keeps its rows; it is empty for views."""

    table: TableInfo
    engine: str


def quoted(name: str) -> str:
    """An identifier, in every SQL mode."""
    return "`" + name.replace("`", "``") + "`"


def known_tables(connection: Any) -> list[KnownTable]:
    """Tables and views of all databases that this user may see."""
    return [
        KnownTable(TableInfo(schema, name, f"{quoted(schema)}.{quoted(name)}"), engine)
        for schema, name, engine in run(connection, _TABLES)
    ]


def described(
    connection: Any, feed: PacketSocket, table: TableInfo, columns: Sequence[str] | None, *, invisible: bool = False
) -> tuple[TableInfo, list[ResultColumn]]:
    """The table with its columns (``invisible`` ones, too, if that is said) and its key.

    From here on nobody can alter it until the transaction ends.
    """
    run(connection, f"SELECT 1 FROM {table.relation} LIMIT 0")  # noqa: S608 - quoted, or the user's own query
    place = [table.schema, table.name]
    types: dict[str, str] = dict(run(connection, _COLUMNS, place)) if table.schema else {}
    names = ", ".join(map(quoted, types)) if invisible else "*"
    statement = Statement(connection, feed, f"SELECT {names} FROM {table.relation}")  # noqa: S608 - likewise
    statement.close()
    found = {
        each.name: result_column(each, quoted(each.name), types.get(each.name, f"type {each.type}"))
        for each in statement.columns
    }
    read = [found[name] for name in wanted(list(found), columns, table.stream)]
    key = [name for (name,) in run(connection, _KEY, place)] if table.schema else []
    read_names = {column.info.name for column in read}
    infos = [column.info for column in read]
    return replace(table, columns=infos, key=key if set(key) <= read_names else ()), read


def primary_key(connection: Any, table: TableInfo) -> str | None:
    """The first column of the primary key, whether it is selected or not."""
    rows = run(connection, _KEY, [table.schema, table.name]) if table.schema else []
    return rows[0][0] if rows else None
