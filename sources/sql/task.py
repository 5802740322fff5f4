"""The task of the source ``sql``: one import, one step."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from ingest.connectors import DeadRecords, EndOfInput, Origin, Polled, Position, Records, SourceContext, SourceTask
from ingest.errors import ConnectorError
from ingest.sources.databases.parts import Part
from ingest.sources.databases.reader import Finished, TableReader
from ingest.sources.databases.tables import TableInfo
from ingest.sources.sql.readers import reader_for
from ingest.sources.sql.settings import SqlSettings

VERSION = 1
_WAIT_MS = 500


class SqlTask(SourceTask):
    """The position of a table says that it was imported. Tables that the pipeline names later are imported then."""

    def __init__(self, settings: SqlSettings) -> None:
        self._settings = settings
        self._reader: TableReader | None = None

    def open(self, context: SourceContext, positions: Mapping[str, Position]) -> None:
        self._context = context
        for stream, position in positions.items():
            if position.get("version") != VERSION:
                raise ConnectorError(f"the position of {stream} is not one of this source", stream=stream)
        part_bytes = max(1, min(context.max_batch_bytes, 4 * 1024 * 1024))
        self._reader = reader_for(self._settings, context.base_folder, part_bytes)
        tables = self._reader.tables(self._settings.selection)
        self._left = {table.stream: table for table in tables if table.stream not in positions}
        self._rows = dict.fromkeys(self._left, 0)
        self._began_ms = context.environment.clock.now_ms()
        self._reader.start(list(self._left.values()))

    def poll(self) -> Polled | None:
        assert self._reader is not None
        if not self._left:
            raise EndOfInput
        try:
            part = self._reader.next_part(_WAIT_MS)
        except Finished:
            return self._last_step()
        if part is None:
            return None
        self._rows[part.table.stream] += len(part.rows) + len(part.dead)
        records = [self._records(part.table, part.rows.to_struct_array())] if len(part.rows) else []
        return Polled(records, {}, self._dead(part), open=True)

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()

    def _last_step(self) -> Polled:
        positions = {
            stream: {"version": VERSION, "rows": rows, "read_at_ms": self._began_ms}
            for stream, rows in self._rows.items()
        }
        self._left = {}
        return Polled((), positions)

    def _records(self, table: TableInfo, value: pa.Array) -> Records:
        return Records(
            value=value,
            topic=table.topic(self._context.topic),
            stream=table.stream,
            origin=Origin(self._context.name, table.stream),
        )

    def _dead(self, part: Part) -> list[DeadRecords]:
        if not part.dead:
            return []
        content = pa.array([content for content, _ in part.dead], pa.binary())
        reasons = [reason for _, reason in part.dead]
        return [DeadRecords(self._records(part.table, content), reasons, "read", "ValueOutOfRange")]
