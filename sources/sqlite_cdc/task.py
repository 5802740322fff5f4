"""The task of the source ``sqlite_cdc``: the rows of a table at one moment, then each change since."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace

import pyarrow as pa

from ingest.connectors import DeadRecords, EndOfInput, Polled, Position, Records, SourceContext, SourceTask
from ingest.database_url import sqlite_path
from ingest.errors import ConnectorError, PositionLost
from ingest.sources.databases.changes import Changes, records_of
from ingest.sources.databases.heartbeat import Heartbeat
from ingest.sources.databases.parts import Part
from ingest.sources.databases.reader import Finished, Selection
from ingest.sources.sqlite.columns import text_of
from ingest.sources.sqlite.table_reader import SqliteReader
from ingest.sources.sqlite_cdc import capture
from ingest.sources.sqlite_cdc.capture import Installed
from ingest.sources.sqlite_cdc.change_reader import ChangeReader, dead_records
from ingest.sources.sqlite_cdc.settings import SqliteCdcSettings
from ingest.sources.sqlite_cdc.source_column import source_column

VERSION = 1
_INSTALL = "ingest capture install"


class SqliteCdcTask(SourceTask):
    """A position per table: the number of the last change taken (0: none), and the installation that numbers them.

    Changes that are committed in the hub are removed from the database.
    """

    def __init__(self, settings: SqliteCdcSettings) -> None:
        self._settings = settings
        self._resources = ExitStack()

    def open(self, context: SourceContext, positions: Mapping[str, Position]) -> None:
        self._context = context
        self._path = sqlite_path(self._settings.url, context.base_folder)
        self._database = self._resources.enter_context(capture.opened(self._path))
        self._database.text_factory = text_of
        self._database.execute(f"PRAGMA busy_timeout = {self._settings.poll}")
        self._at = dict(positions)
        self._readers: dict[str, ChangeReader] = {}
        self._tables: dict[str, Installed] = {}
        self._snapshot: SqliteReader | None = None
        self._schema = self._seen = -1
        self._took: dict[str, int] = {}
        self._heartbeat = Heartbeat(self._settings, context, "heartbeat")
        self._look_at_schema()
        self._target = {stream: self._last(stream) for stream in self._tables}

    def poll(self) -> Polled | None:
        try:
            return self._poll()
        except sqlite3.Error as error:
            raise capture.failure(error, self._path) from None

    def committed(self, positions: Mapping[str, Position | None]) -> None:
        for stream, position in positions.items():
            if position is not None and position["change"]:
                self._took[stream] = position["change"]
        self._forget_taken()

    def lag(self) -> Mapping[str, int] | None:
        try:
            left = sum(max(0, self._last(stream) - self._number(stream)) for stream in self._tables)
        except sqlite3.Error:
            return None
        return {"changes": left}

    def close(self) -> None:
        if getattr(self, "_snapshot", None) is not None:
            self._end_snapshot()
        self._resources.close()

    # -- the steps

    def _poll(self) -> Polled | None:
        if self._snapshot is not None:
            return self._snapshot_part()
        self._look_at_schema()
        new = [stream for stream in self._tables if stream not in self._at]
        if new and self._settings.snapshot != "never":
            self._begin_snapshot(new)
            return self._snapshot_part()
        if self._settings.snapshot == "only":
            raise EndOfInput
        step = self._changes()
        if beats := self._heartbeat.due():
            return Polled(beats) if step is None else replace(step, records=[*step.records, *beats])
        if step is None:
            if self._context.until_caught_up and all(self._number(s) >= n for s, n in self._target.items()):
                raise EndOfInput
            self._forget_taken()
            self._context.wait(self._settings.poll)
        return step

    def _changes(self) -> Polled | None:
        """Of all tables, as one read transaction sees them."""
        version = self._database.execute("PRAGMA data_version").fetchone()[0]
        if version == self._seen:
            return None
        records: list[Records] = []
        dead: list[DeadRecords] = []
        positions: dict[str, Position] = {}
        self._database.execute("BEGIN")
        try:
            for stream in self._tables:
                self._read_changes(stream, records, dead, positions)
        finally:
            self._database.execute("COMMIT")
        if not positions:
            self._seen = version
            return None
        self._at |= positions
        return Polled(records, positions, dead)

    def _read_changes(
        self, stream: str, records: list[Records], dead: list[DeadRecords], positions: dict[str, Position]
    ) -> None:
        reader = self._readers[stream]
        self._check_position(stream)
        found = reader.read(self._database, self._number(stream), self._context.max_batch_bytes // len(self._tables))
        if found is None:
            return
        made = self._records(found.changes)
        if len(made):
            records.append(made)
        if found.dead:
            dead.append(dead_records(found, made))
        positions[stream] = self._position(stream, found.last)

    def _begin_snapshot(self, streams: list[str]) -> None:
        self._snapshot = SqliteReader(
            self._path, max(1, min(self._context.max_batch_bytes, 4 << 20)), self._context.report
        )
        tables = self._snapshot.tables(Selection(tables=streams))
        self._snapshot_ends = {stream: capture.last_change(self._snapshot.database, stream[5:]) for stream in streams}
        self._began_ms = self._context.environment.clock.now_ms()
        for stream in streams:
            self._readers[stream].learn(self._snapshot.database)
        self._snapshot.start(tables)

    def _snapshot_part(self) -> Polled | None:
        assert self._snapshot is not None
        try:
            part = self._snapshot.next_part(0)
        except Finished:
            self._end_snapshot()
            positions = {stream: self._position(stream, number) for stream, number in self._snapshot_ends.items()}
            self._at |= positions
            return Polled((), positions)
        if part is None:
            return None
        made = self._records(self._rows(part))
        return Polled([made] if len(made) else [], {}, _dead(part, made), open=True)

    def _end_snapshot(self) -> None:
        assert self._snapshot is not None
        self._snapshot.close()
        self._snapshot = None

    def _rows(self, part: Part) -> Changes:
        rows, count = part.rows.to_struct_array(), len(part.rows)
        times = [[None, self._began_ms]] * count
        return Changes(
            part.table,
            pa.repeat(pa.scalar("r"), count),
            pa.nulls(count, rows.type),
            rows,
            source_column(self._context.name, self._path.name, part.table.name, times, snapshot="true"),
            pa.repeat(pa.scalar(self._began_ms, pa.int64()), count),
        )

    def _records(self, changes: Changes) -> Records:
        settings = self._settings
        return records_of(
            changes,
            source=self._context.name,
            topic=self._context.topic,
            envelope=settings.envelope,
            tombstones=settings.tombstones,
        )

    # -- where it stands

    def _look_at_schema(self) -> None:
        """What is captured, anew after each change of the schema."""
        version = self._database.execute("PRAGMA schema_version").fetchone()[0]
        if version == self._schema:
            return
        names = capture.selected(self._database, self._settings.tables, self._settings.exclude)
        here = {each.table: each for each in capture.installed(self._database)}
        for name in names:
            if name not in here:
                raise ConnectorError(
                    f"changes of {name} are not written down",
                    hint=f"{_INSTALL} {self._settings.url} {name}",
                    table=name,
                )
            self._take_up(here[name])
        self._schema = version

    def _take_up(self, table: Installed) -> None:
        stream = f"main.{table.table}"
        position = self._at.get(stream)
        if position is not None and position.get("version") != VERSION:
            raise ConnectorError(f"the position of {stream} is not one of this source", stream=stream)
        if position is not None and position["capture"] != table.id:
            raise PositionLost(
                f"changes of {stream} were captured anew: what happened in between is not known",
                hint="ingest positions reset takes the rows again",
                stream=stream,
            )
        if table.fault:
            raise ConnectorError(
                f"{stream}: {table.fault}", hint=f"{_INSTALL} {self._settings.url} {table.table}", table=table.table
            )
        kinds = position["kinds"] if position is not None else {}
        self._tables[stream] = table
        self._readers[stream] = ChangeReader(table, kinds, self._context.name, self._path.name)

    def _check_position(self, stream: str) -> None:
        """Changes are numbered without gaps: nobody else may have taken some, nor the file be an older one."""
        at, last = self._number(stream), self._last(stream)
        changes = f"{stream}: changes up to {at} were read"
        if last < at:
            raise PositionLost(f"{changes}, and there are {last}: an older copy of the database was put back")
        table = self._tables[stream].table
        first = self._database.execute(f"SELECT min(id) FROM {capture.changes_table(table)}").fetchone()[0]
        if (first is None and last > at) or (first is not None and first > at + 1):
            raise PositionLost(
                f"{changes}, and the next one here is {first or last + 1}: somebody else has taken those between",
                hint="one pipeline reads what a capture writes down; ingest positions reset takes the rows again",
                stream=stream,
            )

    def _number(self, stream: str) -> int:
        return int(self._at[stream]["change"]) if stream in self._at else 0

    def _last(self, stream: str) -> int:
        return capture.last_change(self._database, self._tables[stream].table)

    def _position(self, stream: str, change: int) -> Position:
        kinds = {name: sorted(found) for name, found in self._readers[stream].kinds.items()}
        return {"version": VERSION, "capture": self._tables[stream].id, "change": change, "kinds": kinds}

    def _forget_taken(self) -> None:
        """Removes what the hub has; where another program writes just now, later."""
        for stream, number in list(self._took.items()):
            table = capture.changes_table(self._tables[stream].table)
            try:
                self._database.execute(f"DELETE FROM {table} WHERE id <= ?", [number])
            except sqlite3.OperationalError as error:
                if "locked" in str(error):
                    return
                raise capture.failure(error, self._path) from None
            del self._took[stream]


def _dead(part: Part, like: Records) -> list[DeadRecords]:
    if not part.dead:
        return []
    content = pa.array([content for content, _ in part.dead], pa.binary())
    records = Records(value=content, topic=like.topic, stream=like.stream, origin=like.origin)
    return [DeadRecords(records, [reason for _, reason in part.dead], "read", "ValueOutOfRange")]
