"""Tables as the binlog maps them, and how their rows are read."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pyarrow as pa

from ingest.errors import ConnectorError
from ingest.sources.databases.tables import ColumnInfo, TableInfo
from ingest.sources.mysql.catalogue import quoted
from ingest.sources.mysql_cdc.charsets import charsets_of, decoder_of
from ingest.sources.mysql_cdc.layout import LoggedColumn, logged_column
from ingest.sources.mysql_cdc.server import CatalogueColumn, Server
from ingest.sources.mysql_cdc.table_map import ENUM, SET, MappedColumn, TableMap, parsed

_BINARY = "binary"
_MEMBER = re.compile(r"'((?:[^']|'')*)'")


@dataclass(frozen=True, slots=True)
class LoggedTable:
    """A table whose changes are wanted; ``layout`` has a row for each column, as the kernel reads it."""

    table: TableInfo
    columns: list[LoggedColumn]
    layout: np.ndarray

    @property
    def fields(self) -> list[pa.Field]:
        """Of a row."""
        return [pa.field(column.name, column.type) for column in self.columns]


class TableBook:
    """Looks up each map of a table once. Asks the server where the log does not tell."""

    def __init__(self, server: Server, wants: Callable[[TableInfo], bool]) -> None:
        self._server = server
        self._wants = wants
        self._known: dict[tuple[int, int, int], LoggedTable | None] = {}
        self._latest: dict[str, LoggedTable] = {}
        self._charsets = charsets_of(server.connection())
        self._decoder = cache(lambda charset: decoder_of(server.connection(), charset))

    def wants(self, schema: str, table: str) -> TableInfo | None:
        """The table, if its changes are wanted."""
        found = TableInfo(schema, table, f"{quoted(schema)}.{quoted(table)}")
        return found if self._wants(found) else None

    def fields(self, stream: str) -> list[pa.Field]:
        """Of the rows of a table as they were logged last; none, if none were."""
        found = self._latest.get(stream)
        return found.fields if found else []

    def table(self, number: int, digest: int, body: bytes) -> LoggedTable | None:
        """``body`` is a table map event without its head, ``digest`` a hash of it; None if nobody wants its rows."""
        place = (number, digest, len(body))
        if place not in self._known:
            self._known[place] = self._made(parsed(body, of_mariadb=self._server.is_mariadb))
        found = self._known[place]
        if found is not None:
            self._latest[found.table.stream] = found
        return found

    def _made(self, found: TableMap) -> LoggedTable | None:
        table = self.wants(found.schema, found.table)
        if table is None:
            return None
        now = self._server.columns(found.schema, found.table)
        named = found.named
        if not named:
            _named_by(found, now, table.stream)
            key = self._server.key(found.schema, found.table)
        else:
            key = found.key or []
        types = {column.name: column for column in now}
        columns = [self._column(each, types.get(each.name), named, table.stream) for each in found.columns]
        infos = [
            ColumnInfo(each.name, types[each.name].column_type if each.name in types else "", each.type, "")
            for each in columns
        ]
        layout = np.array([column.wire for column in columns], np.int32).reshape(-1, 3)
        return LoggedTable(replace(table, columns=infos, key=key), columns, layout)

    def _column(self, mapped: MappedColumn, now: CatalogueColumn | None, named: bool, stream: str) -> LoggedColumn:
        data_type = now.data_type if now else ""
        if named:
            charset = self._charsets.get(mapped.collation, "") if mapped.collation else ""
        else:
            charset = now.charset if now else ""
        if mapped.type in (ENUM, SET) and not charset:
            charset = "utf8mb4"
        try:
            return logged_column(mapped, data_type, "" if charset == _BINARY else charset, self._decoder)
        except ConnectorError as error:
            raise ConnectorError(f"{stream}: {error.message}", hint=error.hint) from None


def _named_by(found: TableMap, now: list[CatalogueColumn], stream: str) -> None:
    """Without FULL metadata the log has no names: those of the catalogue are taken, if all of the types agree."""
    hint = "SET GLOBAL binlog_row_metadata = 'FULL', and in its configuration: then the log itself tells the names"
    if len(now) != len(found.columns):
        raise ConnectorError(
            f"{stream} has {len(now)} columns, and had {len(found.columns)} when a row was logged: "
            "their names are not known",
            hint=hint,
        )
    for mapped, column in zip(found.columns, now, strict=True):
        mapped.name = column.name
        mapped.unsigned = "unsigned" in column.column_type or "zerofill" in column.column_type
        if mapped.type in (ENUM, SET):
            mapped.members = [text.replace("''", "'").encode() for text in _MEMBER.findall(column.column_type)]
        if not _agree(mapped, column.data_type):
            raise ConnectorError(
                f"column {column.name} of {stream} was of another type when a row was logged", hint=hint
            )


_OF_TYPES = {
    "tinyint": {1},
    "smallint": {2},
    "mediumint": {9},
    "int": {3},
    "bigint": {8},
    "float": {4},
    "double": {5},
    "decimal": {246},
    "date": {10},
    "year": {13},
    "bit": {16},
    "time": {11, 19},
    "datetime": {12, 18},
    "timestamp": {7, 17},
    "enum": {ENUM},
    "set": {SET},
}


def _agree(mapped: MappedColumn, data_type: str) -> bool:
    numbers = {number for group in _OF_TYPES.values() for number in group}
    wanted = _OF_TYPES.get(data_type)
    return mapped.type in wanted if wanted else mapped.type not in numbers
