"""The task of the source ``mysql_cdc``: rows once, then the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

import ingest
from ingest.connectors import DeadRecords, EndOfInput, Origin, Polled, Position, Records, SourceContext, SourceTask
from ingest.errors import ConnectorError
from ingest.sources.databases.changes import Changes, records_of
from ingest.sources.databases.heartbeat import Heartbeat
from ingest.sources.databases.parts import Part
from ingest.sources.databases.reader import Finished, Selection
from ingest.sources.databases.tables import TableInfo, selects
from ingest.sources.mysql_cdc.decoding import Decoder
from ingest.sources.mysql_cdc.logged_tables import TableBook
from ingest.sources.mysql_cdc.place import Place, place_of
from ingest.sources.mysql_cdc.server import Server
from ingest.sources.mysql_cdc.settings import MysqlCdcSettings
from ingest.sources.mysql_cdc.snapshot import SnapshotReader
from ingest.sources.mysql_cdc.source_fields import SourceFields
from ingest.sources.mysql_cdc.stream import BinlogStream

STREAM = "changes"
_WAIT_MS = 500
_LARGEST_PART = 4 * 1024 * 1024
_QUIET_BYTES = 1024 * 1024
"""Of log without changes that are wanted, after which the place is committed all the same."""


class MysqlCdcTask(SourceTask):
    """The position of the one stream, ``changes``, is a ``Place``; it commits with the last row of the snapshot."""

    def __init__(self, settings: MysqlCdcSettings) -> None:
        self._settings = settings
        self._server: Server | None = None
        self._snapshot: SnapshotReader | None = None
        self._stream: BinlogStream | None = None

    def open(self, context: SourceContext, positions: Mapping[str, Position]) -> None:
        self._context = context
        self._held: Part | None = None
        self._begun = False
        self._ended = False
        self._is_told = True
        self._server = Server(self._settings.url)
        self._server.check(self._settings.server_id)
        kind = "mariadb" if self._server.is_mariadb else "mysql"
        self._fields = SourceFields(ingest.__version__, kind, context.name)
        position = positions.get(STREAM)
        if position is None and self._settings.snapshot != "never":
            self._begin_snapshot()
        else:
            self._begin_stream(self._server.end() if position is None else place_of(position))
            self._is_told = position is not None
        self._end = self._server.end() if context.until_caught_up else None

    def poll(self) -> Polled | None:
        if self._snapshot is not None:
            return self._snapshot_step(self._snapshot)
        if self._ended:
            raise EndOfInput
        assert self._stream is not None
        transactions = self._decoder.transactions
        if self._end is not None and transactions.order >= self._end.order and not transactions.is_open:
            return self._last_step()
        events = self._stream.read(_WAIT_MS)
        records = self._heartbeat.due()
        if events is None:
            return self._step(records, []) if records or not self._is_told else None
        dead: list[DeadRecords] = []
        now_ms = self._context.environment.clock.now_ms()
        for found in self._decoder.decode(events, now_ms):
            if len(found.changes):
                records.append(self._records(found.changes))
            dead += self._dead(found.changes.table, found.dead)
        return self._step(records, dead)

    def close(self) -> None:
        if self._stream is not None and self._server is not None:
            self._server.end_thread(self._stream.thread)
        for each in (self._stream, self._snapshot, self._server):
            if each is not None:
                each.close()
        self._stream = self._snapshot = self._server = None

    def lag(self) -> Mapping[str, int] | None:
        return None

    # -- the log

    def _begin_stream(self, place: Place) -> None:
        assert self._server is not None
        if self._settings.snapshot == "only":
            self._ended = True
            return
        if not place.gtid:
            place = Place(place.file, place.position, place.after, self._server.gtid_at(place))
        else:
            self._server.check_log(place)
        book = TableBook(self._server, self._wants)
        ordered = "{table}" not in self._context.topic
        self._decoder = Decoder(book, place, self._fields, self._context.report, ordered=ordered)
        self._committed = place
        self._heartbeat = Heartbeat(self._settings, self._context, STREAM)
        size = max(64 * 1024, min(self._context.max_batch_bytes, _LARGEST_PART) // 2)
        server_id = self._settings.server_id_for(self._context.name)
        self._stream = BinlogStream(self._settings.url, place, server_id, size)

    def _wants(self, table: TableInfo) -> bool:
        assert self._server is not None
        return selects(table, self._settings.tables, self._settings.exclude, self._server.database)

    def _step(self, records: Sequence[Records], dead: Sequence[DeadRecords]) -> Polled | None:
        place = self._decoder.transactions.place
        moved = place.file != self._committed.file or place.position - self._committed.position > _QUIET_BYTES
        if not records and not dead and not moved and self._is_told:
            return None
        self._committed, self._is_told = place, True
        return Polled(records, {STREAM: place.as_json()}, dead)

    def _last_step(self) -> Polled | None:
        place = self._decoder.transactions.place
        self._ended = True
        if place == self._committed and self._is_told:
            raise EndOfInput
        return Polled((), {STREAM: place.as_json()})

    def _records(self, changes: Changes) -> Records:
        return records_of(
            changes,
            source=self._context.name,
            topic=self._context.topic,
            envelope=self._settings.envelope,
            tombstones=self._settings.tombstones,
            stream=STREAM,
        )

    def _dead(self, table: TableInfo, dead: Sequence[tuple[bytes, str]]) -> list[DeadRecords]:
        if not dead:
            return []
        records = Records(
            value=pa.array([content for content, _ in dead], pa.binary()),
            topic=table.topic(self._context.topic),
            stream=STREAM,
            origin=Origin(self._context.name, table.stream),
        )
        return [DeadRecords(records, [reason for _, reason in dead], "read", "ValueOutOfRange")]

    # -- the snapshot

    def _begin_snapshot(self) -> None:
        assert self._server is not None
        part_bytes = max(1, min(self._context.max_batch_bytes, _LARGEST_PART))
        self._snapshot = SnapshotReader(
            self._settings.url, self._server, self._settings.splits, part_bytes, self._context.report
        )
        names = [table.stream for table in self._server.tables(self._settings)]
        self._began_ms = self._context.environment.clock.now_ms()
        self._snapshot.start(self._snapshot.tables(Selection(tables=names)) if names else [])

    def _snapshot_step(self, reader: SnapshotReader) -> Polled | None:
        """A part is held until the next one comes: the last row is marked as such."""
        try:
            part = reader.next_part(_WAIT_MS)
        except Finished:
            return self._end_snapshot(reader)
        if part is None:
            return None
        held, self._held = self._held, part
        if held is None:
            return None
        records, dead = self._rows(reader, held, last=False)
        return Polled(records, {}, dead, open=True)

    def _end_snapshot(self, reader: SnapshotReader) -> Polled:
        place = reader.place
        if place is None:
            raise ConnectorError("the snapshot has no place in the log")
        held, self._held = self._held, None
        records, dead = self._rows(reader, held, last=True) if held is not None else ([], [])
        reader.close()
        self._snapshot = None
        self._begin_stream(place)
        return Polled(records, {STREAM: place.as_json()}, dead)

    def _rows(self, reader: SnapshotReader, part: Part, *, last: bool) -> tuple[list[Records], list[DeadRecords]]:
        assert reader.place is not None
        dead = self._dead(part.table, part.dead)
        count = len(part.rows)
        if not count:
            return [], dead
        marks = ["true"] * count
        if not self._begun:
            marks[0] = "first"
        if last:
            marks[-1] = "last"
        self._begun = True
        rows = part.rows.to_struct_array()
        place = reader.place
        source = self._fields.of_rows(part.table, self._began_ms, pa.array(marks), place.file, place.position)
        none = pa.nulls(count, rows.type)
        ts_ms = pa.repeat(pa.scalar(self._began_ms), count)
        changes = Changes(part.table, pa.repeat(pa.scalar("r"), count), none, rows, source, ts_ms)
        return [self._records(changes)], dead
