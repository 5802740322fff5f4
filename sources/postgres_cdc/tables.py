"""The tables of a stream, as the server describes them while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ingest.errors import DecodeFailed
from ingest.sources.databases.tables import TableInfo, quoted
from ingest.sources.postgres.types import copied_column
from ingest.sources.postgres_cdc.catalogue import base_types, keys_of
from ingest.sources.postgres_cdc.columns import RowDecoder
from ingest.sources.postgres_cdc.relation import Relation


@dataclass(frozen=True, slots=True)
class StreamedTable:
    """A table in the shape that its next changes have."""

    table: TableInfo
    decoder: RowDecoder


class StreamedTables:
    """By the server's number of a table; a new description replaces the last one."""

    def __init__(self, wanted: Callable[[TableInfo], bool], connection: Callable[[], Any]) -> None:
        self._wanted = wanted
        self._connection = connection
        self._tables: dict[int, StreamedTable | None] = {}
        self._described: dict[int, Relation] = {}

    def describe(self, relation: Relation) -> None:
        """Asks the catalogue for the types that are new. Raises ``ConnectorError``."""
        if self._described.get(relation.oid) == relation:
            return
        table = TableInfo(relation.schema, relation.name, f"{quoted(relation.schema)}.{quoted(relation.name)}")
        self._tables[relation.oid] = self._streamed(relation, table) if self._wanted(table) else None
        self._described[relation.oid] = relation

    def get(self, oid: int) -> StreamedTable | None:
        """None for a table that is published and not wanted. Raises ``DecodeFailed`` for one that was not described."""
        try:
            return self._tables[oid]
        except KeyError:
            raise DecodeFailed(f"replication stream: a change of a table {oid} that was not described") from None

    def name_of(self, oid: int) -> str | None:
        """Schema and name of a table that is wanted."""
        streamed = self.get(oid)
        return None if streamed is None else streamed.table.stream

    def _streamed(self, relation: Relation, table: TableInfo) -> StreamedTable:
        connection = self._connection()
        types = base_types(connection, {(column.type, column.modifier) for column in relation.columns})
        columns = [copied_column(column.name, *types[column.type, column.modifier]) for column in relation.columns]
        key = key_of(relation, *keys_of(connection, [relation.oid]).get(relation.oid, ((), ())))
        table = replace(table, columns=[column.info for column in columns], key=key)
        return StreamedTable(table, RowDecoder(columns))


def key_of(relation: Relation, primary: Sequence[str], chosen: Sequence[str]) -> Sequence[str]:
    """The columns of the key: those that the server marks, in the order of the key where the catalogue knows it.

    With the whole row as identity that is the primary key as it is now, if the row had its columns then.
    """
    names = {column.name for column in relation.columns}
    if relation.identity == "f":
        return primary if set(primary) <= names else ()
    marked = [column.name for column in relation.columns if column.in_key]
    known = chosen if relation.identity == "i" else primary
    return known if set(known) == set(marked) else marked
