"""Imports, one after the other: a round reads what is to be read now, and ends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ingest.connectors import Polled
from ingest.sources.databases.parts import Part
from ingest.sources.databases.reader import Finished, Piece, TableReader
from ingest.sources.databases.tables import TableInfo
from ingest.sources.sql.handing import Handing
from ingest.sources.sql.tally import Tally

VERSION = 1
WAIT_MS = 500


class Round(ABC):
    """Used by the task's thread; its reader is closed by the task."""

    tally: Tally | None = None

    @abstractmethod
    def poll(self) -> Polled | None:
        """The next step, or None if there is none yet. Raises ``Finished``."""

    def count(self, part: Part) -> None:
        """Notes a part for ``lag`` and for what is told."""
        if self.tally is not None:
            self.tally.add(part)


class WholeRound(Round):
    """All rows of all tables in one step: all or none. ``pieces`` divide them; without any, the reader does."""

    def __init__(
        self,
        reader: TableReader,
        tables: Sequence[TableInfo],
        handing: Handing,
        began_ms: int,
        pieces: Sequence[Piece] = (),
    ) -> None:
        self._reader = reader
        self._handing = handing
        self._began_ms = began_ms
        self._rows = {table.stream: 0 for table in tables}
        self._done = not tables
        if pieces:
            reader.read(pieces)
        else:
            reader.start(tables)

    def poll(self) -> Polled | None:
        if self._done:
            raise Finished
        try:
            part = self._reader.next_part(WAIT_MS)
        except Finished:
            self._done = True
            return self._last_step()
        if part is None:
            return None
        self.count(part)
        self._rows[part.table.stream] += len(part.rows) + len(part.dead)
        return self._handing.step(part, goes_on=True)

    def _last_step(self) -> Polled:
        return Polled(
            (),
            {
                stream: {"version": VERSION, "rows": rows, "read_at_ms": self._began_ms}
                for stream, rows in self._rows.items()
            },
        )
