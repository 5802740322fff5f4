"""What the catalogue says about tables whose changes are wanted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ingest.sources.databases.tables import TableInfo, quoted

_TABLES = """
SELECT c.oid::int8, n.nspname, c.relname, c.relkind, c.relispartition, c.relreplident, c.relpersistence
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 2, 3"""
_KEYS = """
SELECT i.indrelid::int8, i.indisprimary, i.indisreplident, a.attname
FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k (number, place)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
WHERE (i.indisprimary OR i.indisreplident) AND i.indislive AND i.indrelid = ANY (%s::oid[])
ORDER BY i.indexrelid, k.place"""
_COLUMNS = """
SELECT attrelid::int8, attname FROM pg_attribute
WHERE attrelid = ANY (%s::oid[]) AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attrelid, attnum"""
_TYPES = "SELECT oid::int8, typname, typtype, typbasetype::int8, typtypmod FROM pg_type WHERE oid = ANY (%s::oid[])"


@dataclass(frozen=True, slots=True)
class Capturable:
    """A table, and what the server sends of its rows' old state: ``identity`` as ``Relation`` has it.

    ``primary`` and ``chosen`` are the columns of the primary key and of the index that REPLICA IDENTITY names;
    ``columns`` those that are sent: generated ones are not.
    """

    oid: int
    table: TableInfo
    partitioned: bool
    partition: bool
    logged: bool
    identity: str
    primary: Sequence[str] = ()
    chosen: Sequence[str] = ()
    columns: Sequence[str] = ()

    @property
    def key(self) -> Sequence[str]:
        """The columns by which its records are keyed."""
        return {"i": self.chosen, "d": self.primary, "f": self.primary}.get(self.identity, ())

    @property
    def identified(self) -> bool:
        """Whether an update or a delete says which row it means; if not, the server refuses it once it is published."""
        return self.identity == "f" or (self.identity in "di" and bool(self.key))


def capturable(connection: Any) -> list[Capturable]:
    """All tables of the database; no views, none of the system."""
    rows = connection.execute(_TABLES).fetchall()
    keys = keys_of(connection, [row[0] for row in rows])
    columns: dict[int, list[str]] = {}
    for oid, name in connection.execute(_COLUMNS, [[row[0] for row in rows]]):
        columns.setdefault(oid, []).append(name)
    return [
        Capturable(
            oid,
            TableInfo(schema, name, f"{quoted(schema)}.{quoted(name)}"),
            kind == "p",
            partition,
            persistence == "p",
            identity,
            *keys.get(oid, ((), ())),
            columns.get(oid, ()),
        )
        for oid, schema, name, kind, partition, identity, persistence in rows
    ]


def keys_of(connection: Any, tables: Collection[int]) -> Mapping[int, tuple[Sequence[str], Sequence[str]]]:
    """By the number of a table: the columns of its primary key, and of the index that identifies its rows."""
    found: dict[int, tuple[list[str], list[str]]] = {}
    for table, primary, chosen, column in connection.execute(_KEYS, [list(tables)]):
        keys = found.setdefault(table, ([], []))
        if primary:
            keys[0].append(column)
        if chosen:
            keys[1].append(column)
    return found


def base_types(connection: Any, columns: Collection[tuple[int, int]]) -> dict[tuple[int, int], tuple[str, int]]:
    """For numbers of types and their modifiers the name and modifier of what they are made of, if they are domains.

    A type that is gone is unknown: its values are texts all the same.
    """
    found: dict[tuple[int, int], tuple[str, int]] = {}
    left = {column: column for column in columns}
    while left:
        numbers = list({number for number, _ in left.values()})
        known = {row[0]: row[1:] for row in connection.execute(_TYPES, [numbers])}
        deeper = {}
        for column, (number, modifier) in left.items():
            name, kind, base, base_modifier = known.get(number, ("unknown", "b", 0, -1))
            if kind == "d":
                deeper[column] = (base, base_modifier)
            else:
                found[column] = (name, modifier)
        left = deeper
    return found
