"""The rows that are there when the source first starts: one step, which ends with the place where the stream begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from ingest.connectors import DeadRecords, Polled, Records, SourceContext
from ingest.sources.databases.parts import Part
from ingest.sources.databases.reader import Finished, Selection
from ingest.sources.databases.tables import TableInfo
from ingest.sources.postgres.table_reader import PostgresReader
from ingest.sources.postgres_cdc.catalogue import Capturable
from ingest.sources.postgres_cdc.place import STREAM, Place
from ingest.sources.postgres_cdc.row_records import records_of_rows
from ingest.sources.postgres_cdc.settings import PostgresCdcSettings
from ingest.sources.postgres_cdc.source_fields import SourceFields
from ingest.sources.postgres_cdc.stream import dead_records

_WAIT_MS = 300
_PART_BYTES = 1024 * 1024


class Snapshot:
    """All tables at the moment of ``snapshot`` (None: of now), read by several connections at once."""

    def __init__(
        self,
        settings: PostgresCdcSettings,
        context: SourceContext,
        tables: Sequence[Capturable],
        fields: SourceFields,
        behind: Place,
        snapshot: str | None,
    ) -> None:
        self._settings = settings
        self._context = context
        self._fields = fields
        self.behind = behind
        self._keys = {each.table.stream: each.key for each in tables}
        self._began_ms = context.environment.clock.now_ms()
        self._held: tuple[Part, bool] | None = None
        self._any = False
        part_bytes = max(1, min(context.max_batch_bytes // 2, _PART_BYTES))
        names = {each.table.stream: each.columns for each in tables}
        self._reader = PostgresReader(settings.url, settings.splits, part_bytes, snapshot, names)
        try:
            self._reader.start(self._reader.tables(Selection(tables=list(names))))
        except BaseException:
            self._reader.close()
            raise

    def poll(self) -> Polled | None:
        """A part of the step; the last one, which is not open, has the place behind it. One part is held back, for the
        last row of all is marked as such."""
        try:
            part = self._reader.next_part(_WAIT_MS)
        except Finished:
            records, dead = self._step(last=True)
            return Polled(records, {STREAM: self.behind.as_position()}, dead)
        if part is None:
            return None
        records, dead = self._step(last=False) if self._held is not None else ([], [])
        self._held = (part, not self._any)
        self._any = True
        return Polled(records, {}, dead, open=True) if records or dead else None

    def close(self) -> None:
        """Ends the readers."""
        self._reader.close()

    def _step(self, *, last: bool) -> tuple[list[Records], list[DeadRecords]]:
        held, self._held = self._held, None
        if held is None:
            return [], []
        part, first = held
        table = self._keyed(part.table)
        records = [self._records(table, part.rows, first=first, last=last)] if len(part.rows) else []
        dead = [dead_records(self._context, table, *_unzipped(part))] if part.dead else []
        return records, dead

    def _keyed(self, table: TableInfo) -> TableInfo:
        """By what identifies a row in the stream, too: so that both give the same keys."""
        return replace(table, key=self._keys[table.stream])

    def _records(self, table: TableInfo, rows: pa.RecordBatch, *, first: bool, last: bool) -> Records:
        count = len(rows)
        marks = ["true"] * 3
        if first:
            marks[0] = "first"
        if last:
            marks[2] = "last"
        middle = pa.repeat(pa.scalar(marks[1]), max(0, count - 2))
        ends = [marks[0], marks[2]] if count > 1 else [marks[2] if last else marks[0]]
        snapshot = pa.concat_arrays([pa.array(ends[:1]), middle, pa.array(ends[1:], pa.string())])
        return records_of_rows(
            self._settings,
            self._context,
            self._fields,
            table,
            rows,
            snapshot,
            now_ms=self._began_ms,
            lsn=self.behind.end,
        )


def _unzipped(part: Part) -> tuple[list[bytes], list[str]]:
    return [content for content, _ in part.dead], [reason for _, reason in part.dead]
