"""What is new in tables since the last round: rows above a column's value, read in its order, each step committed.

A transaction takes its values early and commits late. So each round reads again from below the highest value that it
has seen, and leaves out the rows that it knows: in mode ``append`` by their key, in mode ``modified`` by all of their
values. A position holds the value from which the next round reads (``floor``) and the digests of the rows above it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc

from ingest.connectors import Polled, Position
from ingest.errors import ConnectorError
from ingest.formats.row_digests import DIGEST, SIZE, content_digests, row_digests
from ingest.sources.databases.parts import Part
from ingest.sources.databases.reader import Finished, Piece, TableReader
from ingest.sources.databases.tables import TableInfo
from ingest.sources.sql.handing import Handing
from ingest.sources.sql.rounds import VERSION, WAIT_MS, Round
from ingest.sources.sql.settings import IncrementalSettings
from ingest.sources.sql.window import Window

_COMMIT_BYTES = 32 * 1024 * 1024


class IncrementalRound(Round):
    """The tables one after the other, each up to what the reader's moment shows."""

    def __init__(
        self,
        reader: TableReader,
        tables: Sequence[TableInfo],
        settings: IncrementalSettings,
        handing: Handing,
        positions: Mapping[str, Position],
        report: Callable[[str], None],
        began_ms: int,
    ) -> None:
        for table in tables:
            _check(table, settings)
        self._reader = reader
        self._settings = settings
        self._handing = handing
        self._positions = positions
        self._report = report
        self._began_ms = began_ms
        self._waiting = list(tables)
        self._reading: _Reading | None = None

    def poll(self) -> Polled | None:
        if self._reading is None:
            self._reading = self._next()
        try:
            part = self._reader.next_part(WAIT_MS)
        except Finished:
            reading, self._reading = self._reading, None
            return self._last_step(reading)
        if part is None:
            return None
        self.count(part)
        return self._step(self._reading, part)

    def _next(self) -> _Reading:
        if not self._waiting:
            raise Finished
        table = self._waiting.pop(0)
        settings = self._settings
        before = _before(table, settings, self._positions.get(table.stream), self._reader)
        condition = self._condition(table, before)
        self._reader.read([Piece(table, condition, order=settings.column)])
        return _Reading(table, before, Window(settings.window, settings.window_time, settings.remember))

    def _condition(self, table: TableInfo, before: _Before) -> str:
        column = self._reader.named(self._settings.column)
        conditions = [f"{column} IS NOT NULL" if before.floor is None else f"{column} > {before.floor}"]
        if self._settings.lag is not None:
            latest = self._reader.now() - timedelta(milliseconds=self._settings.lag)
            kind = _type_of(table, self._settings.column)
            if pa.types.is_date(kind):
                conditions.append(f"{column} <= {self._reader.literal(latest.date())}")
            else:
                moment = latest if kind.tz else latest.replace(tzinfo=None)
                conditions.append(f"{column} <= {self._reader.literal(moment)}")
        return " AND ".join(conditions)

    def _step(self, reading: _Reading, part: Part) -> Polled | None:
        new = reading.new_of(part, self._settings)
        if not len(new.rows) and not new.dead:
            return None
        reading.size_bytes += new.rows.nbytes
        position = None
        if reading.size_bytes >= _COMMIT_BYTES:
            position = self._position(reading, ended=False)
        if position is not None:
            reading.size_bytes = 0
        return self._handing.step(new, goes_on=position is None, position=position)

    def _last_step(self, reading: _Reading) -> Polled | None:
        if not reading.found:
            return None
        return Polled((), {reading.table.stream: self._position(reading, ended=True)})

    def _position(self, reading: _Reading, *, ended: bool) -> Position | None:
        """None if the round goes on and cannot be divided here."""
        column, mark = self._settings.column, reading.window.mark()
        if mark is None and not ended:
            return None
        if mark is None:
            raise ConnectorError(
                f"too many rows of {reading.table.stream} share the newest value of {column}: more of them may come, "
                f"and `remember` holds {self._settings.remember // SIZE:,} rows",
                hint="name a column with finer values, or raise `remember`",
            )
        if mark.short and ended:
            self._report(
                f"{reading.table.stream}: `remember` holds only the newest {len(mark.seen):,} rows of the window: "
                f"a row that commits later than that, below them, would not be seen"
            )
        floor = reading.before.floor if mark.floor is None else self._reader.literal(_python(mark.floor))
        # Rows that are known but were not read again yet count until the round has passed them.
        known = [mark.seen, reading.dead] if ended else [mark.seen, reading.dead, reading.before.seen]
        digests = pa.concat_arrays(known)
        seen = b"".join(digests.to_pylist())
        return {
            "version": VERSION,
            "rows": reading.before.rows + reading.found,
            "read_at_ms": self._began_ms,
            "incremental": {
                "column": column,
                "mode": self._settings.mode,
                "floor": floor,
                "seen": base64.b64encode(seen).decode(),
            },
        }


@dataclass(frozen=True, slots=True)
class _Before:
    """What earlier rounds have left: a literal, the digests of the rows above it, and how many rows came in all."""

    floor: str | None
    seen: pa.Array
    rows: int


class _Reading:
    """One table in one round."""

    def __init__(self, table: TableInfo, before: _Before, window: Window) -> None:
        self.table = table
        self.before = before
        self.window = window
        self.dead = pa.array([], DIGEST)
        self.found = 0
        self.size_bytes = 0

    def new_of(self, part: Part, settings: IncrementalSettings) -> Part:
        """The part without what is known already."""
        known_by = part.rows if settings.mode == "modified" else part.rows.select(settings.key_of(self.table))
        digests = row_digests(known_by)
        self.window.add(part.rows.column(settings.column), digests)
        rows = self._without_known(part.rows, digests)
        dead = self._new_dead(part)
        self.found += len(rows) + len(dead)
        return replace(part, rows=rows, dead=dead)

    def _without_known(self, rows: pa.RecordBatch, digests: pa.Array) -> pa.RecordBatch:
        """The batch itself, where all are new: it is not copied."""
        if not len(self.before.seen):
            return rows
        known = pc.is_in(digests, self.before.seen)
        return rows.filter(pc.invert(known)) if known.true_count else rows

    def _new_dead(self, part: Part) -> list[tuple[bytes, str]]:
        if not part.dead:
            return []
        digests = content_digests([content for content, _ in part.dead])
        self.dead = pa.concat_arrays([self.dead, digests])
        known = pc.is_in(digests, self.before.seen).to_pylist()
        return [letter for letter, seen in zip(part.dead, known, strict=True) if not seen]


def _before(table: TableInfo, settings: IncrementalSettings, position: Position | None, reader: TableReader) -> _Before:
    if position is None:
        floor = None if settings.start is None else reader.literal(settings.start)
        return _Before(floor, pa.array([], DIGEST), 0)
    stored = position.get("incremental")
    if stored is None:
        raise ConnectorError(
            f"{table.stream} was imported whole, not by {settings.column}",
            hint="`ingest positions reset`, and `incremental.start` with the highest value that is there already",
        )
    if (stored["column"], stored["mode"]) != (settings.column, settings.mode):
        raise ConnectorError(
            f"{table.stream} was read by {stored['column']} in mode {stored['mode']} until now",
            hint="`ingest positions reset` begins anew; `incremental.start` says where",
        )
    seen = base64.b64decode(stored["seen"])
    digests = pa.Array.from_buffers(DIGEST, len(seen) // SIZE, [None, pa.py_buffer(seen)])
    return _Before(stored["floor"], digests, int(position["rows"]))


def _check(table: TableInfo, settings: IncrementalSettings) -> None:
    kind = _type_of(table, settings.column)
    if pa.types.is_binary(kind) or pa.types.is_boolean(kind) or pa.types.is_nested(kind):
        raise ConnectorError(f"{table.stream}: {settings.column} has no order that rows could be read by")
    if settings.lag is not None and not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        raise ConnectorError(f"{table.stream}: lag needs a column of dates or timestamps, {settings.column} has none")
    if not settings.key_of(table):
        raise ConnectorError(
            f"{table.stream} has no primary key, or not all of it is selected: rows that are read again could not be "
            "told from new ones",
            hint="name columns that identify a row: incremental: {key: [...]}",
        )
    for name in settings.key_of(table):
        _type_of(table, name)


def _type_of(table: TableInfo, name: str) -> pa.DataType:
    for column in table.columns:
        if column.name == name:
            return column.type
    known = ", ".join(column.name for column in table.columns)
    raise ConnectorError(f"{table.stream}: the column {name} is not selected", hint=f"selected are {known}")


def _python(value: pa.Scalar) -> object:
    try:
        return value.as_py()
    except (OverflowError, ValueError):  # a year that Python does not count to
        return value.cast(pa.string()).as_py()
