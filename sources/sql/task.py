"""The task of the source ``sql``: rounds, each with a reader of its own, when they are due."""

from __future__ import annotations

from collections.abc import Mapping

from ingest.connectors import EndOfInput, Polled, Position, SourceContext, SourceTask
from ingest.errors import ConnectorError
from ingest.sources.databases.reader import Finished, TableReader
from ingest.sources.databases.tables import TableInfo
from ingest.sources.sql.division import Division
from ingest.sources.sql.handing import Handing
from ingest.sources.sql.incremental import IncrementalRound
from ingest.sources.sql.readers import reader_for
from ingest.sources.sql.resumable import UNFINISHED, ResumableRound
from ingest.sources.sql.rounds import VERSION, Round, WholeRound
from ingest.sources.sql.schedule import Schedule
from ingest.sources.sql.settings import SqlSettings
from ingest.sources.sql.tally import Tally

_PART_BYTES = 4 * 1024 * 1024


class SqlTask(SourceTask):
    """The position of a table says what was imported of it. Tables that come to the pipeline later are read then."""

    def __init__(self, settings: SqlSettings) -> None:
        self._settings = settings
        self._reader: TableReader | None = None
        self._round: Round | None = None

    def open(self, context: SourceContext, positions: Mapping[str, Position]) -> None:
        for stream, position in positions.items():
            if position.get("version") != VERSION:
                raise ConnectorError(f"the position of {stream} is not one of this source", stream=stream)
        self._context = context
        self._positions = dict(positions)
        self._handing = Handing(context, keyed=self._settings.primary_key)
        last_ms = max((int(position["read_at_ms"]) for position in positions.values()), default=None)
        self._schedule = Schedule(self._settings, context, last_ms)
        if self._schedule.is_due:
            self._begin()

    def poll(self) -> Polled | None:
        if self._round is None:
            if self._schedule.is_over:
                raise EndOfInput
            if not self._schedule.is_due:
                self._schedule.wait()
                return None
            self._begin()
        assert self._round is not None
        try:
            polled = self._round.poll()
        except Finished:
            self._end()
            return None
        if polled is not None:
            self._positions |= {stream: position for stream, position in polled.positions.items() if position}
        return polled

    def lag(self) -> Mapping[str, int] | None:
        return None if self._round is None or self._round.tally is None else self._round.tally.left()

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()

    def _begin(self) -> None:
        self._schedule.begun()
        part_bytes = max(1, min(self._context.max_batch_bytes, _PART_BYTES))
        self._reader = reader_for(self._settings, self._context.base_folder, part_bytes, self._context.report)
        tables = list(self._reader.tables(self._settings.selection))
        self._handing.check(tables)
        self._round = self._round_over(self._reader, tables)
        self._round.tally = Tally(self._context.environment.clock, self._context.report, self._expected(tables))

    def _expected(self, tables: list[TableInfo]) -> dict[str, int]:
        """Of an incremental round nobody knows how much is new."""
        if self._settings.incremental is not None or self._reader is None:
            return {}
        found = {table.stream: self._reader.expected_rows(table) for table in tables if self._is_due(table.stream)}
        return {stream: rows for stream, rows in found.items() if rows is not None}

    def _round_over(self, reader: TableReader, tables: list[TableInfo]) -> Round:
        now_ms = self._context.environment.clock.now_ms()
        incremental = self._settings.incremental
        if incremental is not None:
            return IncrementalRound(
                reader, tables, incremental, self._handing, self._positions, self._context.report, now_ms
            )
        tables = [table for table in tables if self._is_due(table.stream)]
        division = Division(reader, self._settings)
        if self._settings.resume:
            return ResumableRound(
                reader,
                tables,
                self._handing,
                self._positions,
                division.by_key,
                self._settings.splits,
                self._context.report,
                now_ms,
            )
        pieces = [piece for table in tables for piece in division.by_setting(table)]
        return WholeRound(reader, tables, self._handing, now_ms, pieces)

    def _is_due(self, stream: str) -> bool:
        position = self._positions.get(stream)
        if position is None or self._settings.mode == "full" or position.get(UNFINISHED):
            self._refuse_unfinished(stream, position)
            return True
        return False

    def _refuse_unfinished(self, stream: str, position: Position | None) -> None:
        if position is not None and position.get(UNFINISHED) and not self._settings.resume:
            raise ConnectorError(
                f"a part of {stream} is imported already, by an import with `resume: true`",
                hint="go on with `resume: true`; or begin anew: `ingest positions reset`, and another topic",
            )

    def _end(self) -> None:
        self._round = None
        self.close()
        self._reader = None
