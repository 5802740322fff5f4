"""Tables of PostgreSQL at one moment: binary COPY of several ranges at once, all in one exported snapshot."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from ingest.errors import ConnectorError, IngestError
from ingest.sources.databases.parts import Part, PartQueue
from ingest.sources.databases.reader import Finished, Piece, Selection, TableReader
from ingest.sources.databases.tables import TableInfo, chosen, quoted
from ingest.sources.postgres import catalogue
from ingest.sources.postgres.copying import Copying, Split
from ingest.sources.postgres.failures import failure
from ingest.sources.postgres.session import following, leading
from ingest.sources.postgres.types import CopiedColumn

_QUEUE_BYTES = 16 * 1024 * 1024
_RANGES_A_READER = 4
"""So that readers who are done early take over what others have not begun."""


class PostgresReader(TableReader):
    """``readers`` connections copy at the same time, besides the one that holds snapshot and locks.

    ``snapshot`` names one that somebody else has exported, and keeps until this is closed; ``columns`` are those of
    each table, by its stream, where the selection names none.
    """

    def __init__(
        self,
        url: str,
        readers: int,
        part_bytes: int,
        snapshot: str | None = None,
        columns: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._url = url
        self._readers = readers
        self._part_bytes = part_bytes
        self._queue = PartQueue(_QUEUE_BYTES)
        self._threads: list[threading.Thread] = []
        self._columns: dict[str, list[CopiedColumn]] = {}
        self._splits: deque[Split] = deque()
        self._running = 0
        self._numbers = 0
        self._leader: Any = None
        self._given = snapshot
        self._given_columns = columns or {}

    def tables(self, selection: Selection) -> Sequence[TableInfo]:
        import psycopg

        if self._given is None:
            self._leader, self._snapshot = leading(self._url)
        else:
            self._leader, self._snapshot = following(self._url, self._given), self._given
        self._where = selection.where
        try:
            return [self._described(table, selection) for table in self._selected(selection)]
        except psycopg.Error as error:
            raise failure(error, self._url) from None

    def start(self, tables: Sequence[TableInfo]) -> None:
        for table in tables:
            most = self._readers * _RANGES_A_READER if table.schema else 1
            ranges = catalogue.ranges_of(self._leader, table.relation, most)
            self._splits += [self._split(Piece(table, each)) for each in ranges]
        self._copy()

    def read(self, pieces: Sequence[Piece]) -> None:
        self._splits += [self._split(piece) for piece in pieces]
        self._copy()

    def ask(self, statement: str) -> Sequence[Sequence[Any]]:
        import psycopg

        try:
            return list(self._leader.execute(statement).fetchall())
        except psycopg.Error as error:
            raise failure(error, self._url) from None

    def sample(self, table: TableInfo, rows: int) -> str:
        return catalogue.sample_of(self._leader, table.relation, rows) if table.schema else ""

    def expected_rows(self, table: TableInfo) -> int | None:
        return None if self._where or not table.schema else catalogue.counted_rows(self._leader, table.relation)

    def now(self) -> datetime:
        found: datetime = self.ask("SELECT clock_timestamp()")[0][0]
        return found

    def _split(self, piece: Piece) -> Split:
        table = piece.table
        # Qualified: a bare name would mean the column of the result, which may be the text of it.
        order = f"{table.relation if table.schema else 'query'}.{quoted(piece.order)}" if piece.order else ""
        self._numbers += 1
        return Split(table, self._columns[table.stream], self._condition(piece.condition), order, self._numbers)

    def _copy(self) -> None:
        self._running = min(self._readers, len(self._splits))
        for number in range(self._running):
            thread = threading.Thread(target=self._read, name=f"copy-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def next_part(self, timeout_ms: int) -> Part | None:
        while self._running:
            try:
                item = self._queue.get(timeout_ms)
            except TimeoutError:
                return None
            if isinstance(item, BaseException):
                raise item
            if item is not None:
                return item
            self._running -= 1
        raise Finished

    def close(self) -> None:
        self._queue.close()
        for thread in self._threads:
            thread.join()
        if self._leader is not None:
            self._leader.close()

    def _selected(self, selection: Selection) -> list[TableInfo]:
        if selection.query is not None:
            return [TableInfo("", "query", f"({selection.query}\n) AS query")]
        known = catalogue.known_tables(self._leader)
        named = [table for table, partition in known if not partition or table.stream in selection.tables]
        return chosen(named, selection.tables, selection.exclude, "public")

    def _described(self, table: TableInfo, selection: Selection) -> TableInfo:
        wanted = selection.columns or self._given_columns.get(table.stream)
        columns = catalogue.described(self._leader, table.relation, wanted, table.stream)
        self._columns[table.stream] = columns
        names = [column.info.name for column in columns]
        key = catalogue.key_of(self._leader, table.relation) if table.schema else []
        return replace(table, columns=[column.info for column in columns], key=key if set(key) <= set(names) else ())

    def _condition(self, within: str) -> str:
        conditions = [f"({self._where}\n)"] if self._where else []
        return " AND ".join(conditions + ([within] if within else []))

    def _read(self) -> None:
        connection = None
        try:
            connection = following(self._url, self._snapshot)
            copying = Copying(connection, self._url, self._part_bytes, lambda: self._queue.closed)
            while self._splits and not self._queue.closed:
                try:
                    split = self._splits.popleft()
                except IndexError:
                    break
                for part, size in copying.parts(split):
                    self._queue.put(part, size)
            self._queue.put(None)
        except IngestError as error:
            self._queue.put(error)
        except Exception as error:
            failed = ConnectorError(f"reading PostgreSQL failed: {error!r}")
            failed.__cause__ = error
            self._queue.put(failed)
        finally:
            if connection is not None:
                _end(connection, stopped=self._queue.closed)


def _end(connection: Any, *, stopped: bool) -> None:
    """A statement that nobody waits for is ended on the server, too: closing alone would let it run."""
    import psycopg

    if stopped:
        with suppress(psycopg.Error):
            connection.cancel_safe(timeout=2)
    connection.close()
