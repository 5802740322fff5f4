"""Some rows of a table, in the order of its key, as they were at one moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ingest.sources.databases.parts import Part
from ingest.sources.databases.reader import Finished, Piece, Selection
from ingest.sources.databases.tables import TableInfo
from ingest.sources.postgres.table_reader import PostgresReader
from ingest.sources.postgres_cdc.catalogue import Capturable
from ingest.sources.postgres_cdc.visibility import Seen

Key = tuple[str, ...]
"""The values of the key's columns, as the database writes them."""

_WAIT_MS = 300
_PART_BYTES = 1024 * 1024
_CHUNK_BYTES = 8 * 1024 * 1024
_ROWS = """
SELECT CASE WHEN reltuples > 0
    THEN {bytes}::float8 * reltuples / greatest(pg_total_relation_size(oid), 1) ELSE {most} END
FROM pg_class WHERE oid = {oid}"""


@dataclass(frozen=True, slots=True)
class Chunk:
    """``last`` is the key up to which it reaches; None: to the table's end. ``reached`` is an LSN behind the commits of
    all transactions that it sees."""

    table: TableInfo
    parts: Sequence[Part]
    last: Key | None
    seen: Seen
    reached: int


def read_chunk(
    url: str,
    each: Capturable,
    after: Key | None,
    most_rows: int,
    log_end: Callable[[], int],
    stopping: Callable[[], bool],
) -> Chunk | None:
    """The rows behind the key ``after``: about as many as make 8 MiB, and at most ``most_rows``. None if stopping.

    Raises ``ConnectorError``, also where the table is gone.
    """
    stream = each.table.stream
    reader = PostgresReader(url, 1, _PART_BYTES, None, {stream: each.columns})
    try:
        (table,) = reader.tables(Selection(tables=[stream]))
        table = replace(table, key=each.key)
        seen = Seen.of(str(reader.ask("SELECT pg_current_snapshot()::text")[0][0]))
        reached = log_end()
        last = _last_key(reader, each, table, after, most_rows)
        reader.read([Piece(table, _between(reader, table, after, last))])
        parts: list[Part] = []
        while not stopping():
            try:
                part = reader.next_part(_WAIT_MS)
            except Finished:
                return Chunk(table, parts, last, seen, reached)
            if part is not None:
                parts.append(replace(part, table=table))
        return None
    finally:
        reader.close()


def _last_key(
    reader: PostgresReader, each: Capturable, table: TableInfo, after: Key | None, most_rows: int
) -> Key | None:
    about = reader.ask(_ROWS.format(bytes=_CHUNK_BYTES, most=most_rows, oid=each.oid))[0][0]
    rows = max(1, min(most_rows, int(about)))
    names = [f"{table.relation}.{reader.named(name)}" for name in table.key]  # a bare one would mean the text
    texts = ", ".join(f"{name}::text" for name in names)
    where = f"WHERE {condition}" if (condition := _between(reader, table, after, None)) else ""
    found = reader.ask(
        f"SELECT {texts} FROM {table.relation} {where} ORDER BY {', '.join(names)} OFFSET {rows - 1} LIMIT 1"  # noqa: S608
    )
    return tuple(map(str, found[0])) if found else None


def _between(reader: PostgresReader, table: TableInfo, after: Key | None, last: Key | None) -> str:
    names = ", ".join(map(reader.named, table.key))
    bounds = [(">", after), ("<=", last)]
    return " AND ".join(f"({names}) {sign} ({_literals(key)})" for sign, key in bounds if key is not None)


def _literals(key: Key) -> str:
    """Of no type of their own: each becomes that of its column."""
    return ", ".join("'" + value.replace("'", "''") + "'" for value in key)
