"""Tables of MariaDB at one moment: ranges of the primary key on several connections, opened under one short lock."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from ingest.errors import ConnectorError, IngestError
from ingest.sources.databases.parts import Part, PartQueue, part_of
from ingest.sources.databases.reader import Finished, Piece, Selection, TableReader
from ingest.sources.databases.tables import TableInfo, chosen
from ingest.sources.mysql import catalogue
from ingest.sources.mysql.failures import failure
from ingest.sources.mysql.packet_socket import PacketSocket, Stopped
from ingest.sources.mysql.ranges import ranges_of
from ingest.sources.mysql.result_rows import ResultColumn, ResultDecoder
from ingest.sources.mysql.session import begin_together, connected, end, run
from ingest.sources.mysql.statements import Statement

_QUEUE_BYTES = 16 * 1024 * 1024
_RANGES_A_READER = 4
"""So that readers who are done early take over what others have not begun."""
_OF_ONE_MOMENT = ("InnoDB", "ROCKSDB", "")


@dataclass(frozen=True, slots=True)
class _Split:
    """What one statement reads."""

    table: TableInfo
    columns: Sequence[ResultColumn]
    condition: str
    order: str = ""

    @property
    def statement(self) -> str:
        names = ", ".join(column.info.expression for column in self.columns)
        where = f" WHERE {self.condition}" if self.condition else ""
        order = f" ORDER BY {catalogue.quoted(self.order)}" if self.order else ""
        return f"SELECT {names} FROM {self.table.relation}{where}{order}"  # noqa: S608 - quoted, or the user's own


class MysqlReader(TableReader):
    """``readers`` connections read at the same time; one more keeps tables from being altered, and is asked.

    ``report`` is told where rows may be of another moment, or why fewer connections read.
    """

    row_values: ClassVar[bool] = False  # they are compared, but by no index
    _invisible: ClassVar[bool] = False
    """Whether columns come that ``SELECT *`` leaves out."""

    def __init__(
        self,
        url: str,
        default_schema: str,
        readers: int,
        part_bytes: int,
        report: Callable[[str], None],
    ) -> None:
        self._url = url
        self._default_schema = default_schema
        self._readers = readers
        self._part_bytes = part_bytes
        self._report = report
        self._queue = PartQueue(_QUEUE_BYTES)
        self._connections: list[Any] = []
        self._feeds: list[PacketSocket] = []
        self._threads: list[threading.Thread] = []
        self._columns: dict[str, list[ResultColumn]] = {}
        self._splits: deque[_Split] = deque()
        self._running = 0

    def tables(self, selection: Selection) -> Sequence[TableInfo]:
        import pymysql

        self._where = selection.where
        alone = selection.query is not None or self._readers == 1
        for _ in range(1 if alone else 1 + self._readers):
            self._connections.append(connected(self._url))
        try:
            self._begin()
            self._feeds = [PacketSocket(connection) for connection in self._connections]
            return [self._described(table, selection) for table in self._selected(selection)]
        except pymysql.Error as error:
            raise failure(error, self._url) from None

    def start(self, tables: Sequence[TableInfo]) -> None:
        import pymysql

        try:
            for table in tables:
                self._splits += self._divided(table)
        except pymysql.Error as error:
            raise failure(error, self._url) from None
        self._begin_reading()

    def read(self, pieces: Sequence[Piece]) -> None:
        self._splits += [self._split(piece) for piece in pieces]
        self._begin_reading()

    def ask(self, statement: str) -> Sequence[Sequence[Any]]:
        import pymysql

        try:
            return run(self._connections[0], statement)
        except pymysql.Error as error:
            raise failure(error, self._url) from None

    def named(self, column: str) -> str:
        return catalogue.quoted(column)

    def literal(self, value: object) -> str:
        if isinstance(value, str):
            value = value.replace("\\", "\\\\")
        if isinstance(value, datetime) and value.tzinfo:
            value = value.astimezone(UTC).replace(tzinfo=None)
        return super().literal(value)

    def now(self) -> datetime:
        found: datetime = self.ask("SELECT UTC_TIMESTAMP(6)")[0][0]
        return found.replace(tzinfo=UTC)

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
        busy = self._running > 0
        self._queue.close()
        for thread in self._threads:
            thread.join()
        for connection in self._connections:
            end(connection, self._url, busy=busy)

    def _noted(self, connection: Any, locked: bool) -> None:
        """Called when the first transaction has begun; nobody commits meanwhile, if ``locked``."""

    def _wants_lock(self) -> bool:
        return len(self._connections) > 1

    def _begin(self) -> None:
        alone = begin_together(self._connections, self._noted, lock=self._wants_lock())
        if alone is None:
            return
        self._report(
            f"one connection reads, not {self._readers}: the lock under which they would see the same moment "
            f"was not given ({alone}); GRANT RELOAD ON *.* allows it, splits: 1 ends this message"
        )
        while len(self._connections) > 1:
            self._connections.pop().close()

    def _selected(self, selection: Selection) -> list[TableInfo]:
        if selection.query is not None:
            return [TableInfo("", "query", f"({selection.query}\n) AS query")]
        if not self._default_schema and any("." not in pattern for pattern in selection.tables):
            raise ConnectorError(
                "the URL names no database: a table is written database.table",
                hint="end the URL in the database, mysql://user@host/database, or name it before each table",
            )
        known = catalogue.known_tables(self._connections[0])
        tables = [each.table for each in known]
        found = chosen(tables, selection.tables, selection.exclude, self._default_schema)
        self._report_without_snapshots(known, {table.stream for table in found})
        return found

    def _report_without_snapshots(self, known: Sequence[catalogue.KnownTable], streams: set[str]) -> None:
        for each in known:
            if each.table.stream in streams and each.engine not in _OF_ONE_MOMENT:
                self._report(
                    f"{each.table.stream} is kept by {each.engine}, which knows no snapshots: "
                    "its rows are as they are when they are read"
                )

    def _described(self, table: TableInfo, selection: Selection) -> TableInfo:
        found, columns = catalogue.described(
            self._connections[0], self._feeds[0], table, selection.columns, invisible=self._invisible
        )
        self._columns[table.stream] = columns
        return found

    def _divided(self, table: TableInfo) -> list[_Split]:
        key = catalogue.primary_key(self._connections[0], table) if len(self._connections) > 1 else None
        most = self._readers * _RANGES_A_READER
        ranges = ranges_of(self._connections[0], table, key, most) if key else [""]
        return [self._split(Piece(table, each)) for each in ranges]

    def _split(self, piece: Piece) -> _Split:
        columns = self._columns[piece.table.stream]
        return _Split(piece.table, columns, self._condition(piece.condition), piece.order)

    def _begin_reading(self) -> None:
        readers = list(zip(self._connections, self._feeds, strict=True))
        readers = readers[1:] or readers
        self._running = min(len(readers), len(self._splits))
        for number, (connection, feed) in enumerate(readers[: self._running]):
            thread = threading.Thread(target=self._read, args=[connection, feed], name=f"rows-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _condition(self, within: str) -> str:
        conditions = [f"({self._where}\n)"] if self._where else []
        return " AND ".join(conditions + ([f"({within})"] if within else []))

    def _read(self, connection: Any, feed: PacketSocket) -> None:
        import pymysql

        try:
            while self._splits and not self._queue.closed:
                try:
                    split = self._splits.popleft()
                except IndexError:
                    break
                self._read_split(split, connection, feed)
            self._queue.put(None)
        except Stopped:
            self._queue.put(None)
        except (pymysql.Error, OSError) as error:
            self._queue.put(failure(error, self._url))
        except IngestError as error:
            self._queue.put(error)
        except Exception as error:
            failed = ConnectorError(f"reading MariaDB failed: {error!r}")
            failed.__cause__ = error
            self._queue.put(failed)

    def _read_split(self, split: _Split, connection: Any, feed: PacketSocket) -> None:
        decoder = ResultDecoder(split.columns)
        statement = Statement(connection, feed, split.statement)
        for rows in statement.rows(self._part_bytes, self._stopping):
            batch, refused = decoder.decode(rows.data, rows.starts, rows.lengths)
            self._queue.put(part_of(split.table, batch, refused), batch.nbytes)
            if self._queue.closed:
                raise Stopped
        statement.close()

    def _stopping(self) -> bool:
        return self._queue.closed
