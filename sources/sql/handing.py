"""Parts of tables as records."""

from __future__ import annotations

import pyarrow as pa

from ingest.connectors import DeadRecords, Origin, Polled, Position, Records, SourceContext
from ingest.errors import ConnectorError
from ingest.formats.json_codec import encode
from ingest.sources.databases.parts import Part
from ingest.sources.databases.tables import TableInfo


class Handing:
    """Makes steps of a source of the parts of its tables."""

    def __init__(self, context: SourceContext, *, keyed: bool) -> None:
        self._context = context
        self._keyed = keyed

    def check(self, tables: list[TableInfo]) -> None:
        """Raises ``ConnectorError`` for a key that a table lacks, and for tables that would share a topic by chance."""
        topics: dict[str, str] = {}
        for table in tables:
            if self._keyed and not table.key:
                raise ConnectorError(
                    f"{table.stream} has no primary key, or not all of it is selected",
                    hint="set `primary_key: false`, and `key` to an expression",
                )
            other = topics.setdefault(table.topic(self._context.topic), table.stream)
            if other != table.stream and "{table}" in self._context.topic:
                raise ConnectorError(
                    f"{other} and {table.stream} would share a topic: their names differ only in letters that no "
                    "topic may have",
                    hint="give one of them a source of its own",
                )

    def step(self, part: Part, *, goes_on: bool, position: Position | None = None) -> Polled:
        """The rows of a part, and its dead letters."""
        records = [self._records(part.table, part.rows)] if len(part.rows) else []
        positions = {} if position is None else {part.table.stream: position}
        return Polled(records, positions, self._dead(part), open=goes_on)

    def _records(self, table: TableInfo, rows: pa.RecordBatch) -> Records:
        return Records(
            value=rows.to_struct_array(),
            key=_keys(rows, table) if self._keyed else None,
            topic=table.topic(self._context.topic),
            stream=table.stream,
            origin=Origin(self._context.name, table.stream),
        )

    def _dead(self, part: Part) -> list[DeadRecords]:
        if not part.dead:
            return []
        table = part.table
        records = Records(
            value=pa.array([content for content, _ in part.dead], pa.binary()),
            topic=table.topic(self._context.topic),
            stream=table.stream,
            origin=Origin(self._context.name, table.stream),
        )
        return [DeadRecords(records, [reason for _, reason in part.dead], "read", "ValueOutOfRange")]


def _keys(rows: pa.RecordBatch, table: TableInfo) -> pa.Array:
    """JSON of the key's columns, as Debezium has it."""
    encoded, _ = encode(rows.select(list(table.key)).to_struct_array())
    return encoded
