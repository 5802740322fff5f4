"""Snapshots beside the stream: tables read in chunks, by the order of their keys, while changes go on.

A chunk is what one snapshot of the database sees. Its rows belong in the stream behind the changes of the transactions
that it sees, and before those of the others. So it is held until the first change of its table comes that it does not
see, or until the stream is past all that it sees. (DBLog, Andreakis and Papapanagiotou 2020, finds that place by two
marks in the log, and drops rows that change between them; PostgreSQL's snapshots tell it without.)

A transaction may be in the log, and sent, before snapshots see it: while its commit waits for a standby. A chunk that
does not see all that was handed on already is not taken, and read again.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from ingest.connectors import DeadRecords, Records, SourceContext
from ingest.errors import ConnectorError
from ingest.sources.databases.signals import signal_of
from ingest.sources.databases.tables import TableInfo, chosen
from ingest.sources.postgres_cdc.chunk import Chunk, read_chunk
from ingest.sources.postgres_cdc.database import Database
from ingest.sources.postgres_cdc.place import Reading
from ingest.sources.postgres_cdc.row_records import records_of_rows
from ingest.sources.postgres_cdc.settings import PostgresCdcSettings
from ingest.sources.postgres_cdc.source_fields import SourceFields
from ingest.sources.postgres_cdc.stream import Stream, dead_records

_MOST_REMEMBERED = 10_000

Step = tuple[list[Records], list[DeadRecords]]


class Incremental:
    """Where it stands is ``stream.place.reading``, which moves with the records. Used by the task's thread."""

    def __init__(
        self, settings: PostgresCdcSettings, context: SourceContext, database: Database, fields: SourceFields
    ) -> None:
        self._settings = settings
        self._context = context
        self._database = database
        self._fields = fields
        self._held: Chunk | None = None
        self._handed_on: set[int] = set()
        """Transactions that were handed on, and that a snapshot might not see yet."""

    @property
    def waits(self) -> bool:
        """Whether rows are held until the stream has come far enough."""
        return self._held is not None

    def step(self, stream: Stream, records: list[Records], dead: list[DeadRecords]) -> Step:
        """What ``stream`` has taken, with the rows that belong before and behind it; and reads the next chunk."""
        if self._held is not None and self._changes_what_it_does_not_see(self._held, stream):
            rows, refused = self._released(stream)
            records, dead = rows + records, refused + dead
        self._remember(stream)
        for row in stream.signals:
            self._signalled(row, stream)
        if self._held is not None and stream.place.end >= self._held.reached:
            rows, refused = self._released(stream)
            records, dead = records + rows, dead + refused
        if self._held is None and stream.place.reading is not None and stream.between_transactions:
            self._read_on(stream, stream.place.reading)
        return records, dead

    def _changes_what_it_does_not_see(self, chunk: Chunk, stream: Stream) -> bool:
        xids = stream.touched.get(chunk.table.stream, [])
        return any(not chunk.seen.sees(int(xid)) for part in xids for xid in np.unique(part))

    def _remember(self, stream: Stream) -> None:
        self._handed_on.update(
            int(xid) for parts in stream.touched.values() for part in parts for xid in np.unique(part)
        )
        if len(self._handed_on) > _MOST_REMEMBERED:
            seen = self._database.seen()
            self._handed_on = {xid for xid in self._handed_on if not seen.sees(xid)}

    # -- what is asked for

    def _signalled(self, row: dict[str, object], stream: Stream) -> None:
        try:
            signal = signal_of(row)
            named = self._named(signal.tables) if signal.tables else None
        except (ValueError, ConnectorError) as error:
            said = error.message if isinstance(error, ConnectorError) else str(error)
            self._context.report(f"the signal {row.get('id')!r} asks for nothing that can be done: {said}")
            return
        before = stream.place.reading.tables if stream.place.reading is not None else ()
        if signal.kind == "execute-snapshot":
            assert named is not None, "the signal says which"
            after = (*before, *(name for name in named if name not in before))
        else:
            after = tuple(name for name in before if named is not None and name not in named)
        self._context.report(f"the signal {row.get('id')!r}: {', '.join(after) or 'no table'} to be read")
        self._become(stream, after)

    def _named(self, tables: object) -> list[str]:
        """Of the tables whose changes are read."""
        assert isinstance(tables, list)
        known = {each.table.stream: each for each in self._database.tables(self._settings)}
        found = chosen([each.table for each in known.values()], tables, (), "public")
        for table in found:
            if not known[table.stream].key:
                raise ConnectorError(f"{table.stream} has no key to read it by")
        return [table.stream for table in found]

    def _become(self, stream: Stream, tables: tuple[str, ...]) -> None:
        reading = stream.place.reading
        if not tables:
            self._held, reading = None, None
        elif reading is None or reading.tables[0] != tables[0]:
            self._held, reading = None, Reading(tables)
        else:
            reading = replace(reading, tables=tables)
        stream.place = replace(stream.place, reading=reading)

    # -- chunks

    def _read_on(self, stream: Stream, reading: Reading) -> None:
        name = reading.tables[0]
        each = next((one for one in self._database.tables(self._settings) if one.table.stream == name), None)
        if each is None or not each.key:
            self._context.report(f"{name} cannot be read any more: it is gone, or has no key")
            self._become(stream, reading.tables[1:])
            return
        stopping = self._context.stopping.is_set
        rows = self._settings.chunk_rows
        chunk = read_chunk(self._settings.url, each, reading.after, rows, self._database.log_end, stopping)
        self._context.environment.fail.hit("postgres_cdc.chunk.read")
        if chunk is None or not chunk.seen.sees_all(self._handed_on):
            return
        self._handed_on.clear()
        self._held = chunk

    def _released(self, stream: Stream) -> Step:
        chunk, reading = self._held, stream.place.reading
        assert chunk is not None
        assert reading is not None
        self._held = None
        count = reading.rows + sum(len(part.rows) for part in chunk.parts)
        if chunk.last is not None:
            stream.place = replace(stream.place, reading=replace(reading, after=chunk.last, rows=count))
        else:
            self._context.report(f"{chunk.table.stream} was read beside the stream: {count:,} rows")
            self._become(stream, reading.tables[1:])
        records = [self._records(chunk.table, part.rows, chunk.reached) for part in chunk.parts if len(part.rows)]
        dead = [
            dead_records(self._context, chunk.table, [each for each, _ in part.dead], [why for _, why in part.dead])
            for part in chunk.parts
            if part.dead
        ]
        return records, dead

    def _records(self, table: TableInfo, rows: pa.RecordBatch, lsn: int) -> Records:
        marks = pa.repeat(pa.scalar("incremental"), len(rows))
        now_ms = self._context.environment.clock.now_ms()
        return records_of_rows(self._settings, self._context, self._fields, table, rows, marks, now_ms=now_ms, lsn=lsn)
