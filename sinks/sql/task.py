"""The life of the sink ``sql``: rows wait in memory, bounded; a commit is one short transaction."""

from __future__ import annotations

from ingest.connectors import MAX_HELD_BYTES, Commit, Delivery, SinkContext, SinkTask, Standing
from ingest.errors import ConnectorError, RecordRefused
from ingest.sinks.changes.rows import Rows
from ingest.sinks.lake.pending import Pending
from ingest.sinks.sql.database import Database
from ingest.sinks.sql.databases import database_for
from ingest.sinks.sql.positions import Positions
from ingest.sinks.sql.settings import SqlSinkSettings
from ingest.sinks.sql.staging import Staging
from ingest.sinks.sql.table_load import TableLoad, TableSteps
from ingest.sinks.sql.table_set import TableSet
from ingest.sinks.sql.waiting import Waiting

_LONGEST_REASON = 1000


class SqlSinkTask(SinkTask):
    """After a failure in ``put`` or ``flush`` the task is of no more use and is opened anew: what became of a commit
    whose end nobody has heard of is then read from the target."""

    def __init__(self, settings: SqlSinkSettings) -> None:
        self._settings = settings
        self._connected: Database | None = None

    def open(self, context: SinkContext) -> Standing:
        self._context = context
        self._clock = context.environment.clock
        self._fail = context.environment.fail
        self._connected = database_for(self._settings.address, context.base_folder, self._settings.lock_wait)
        self._connected.open()
        self._positions = Positions(self._connected, context)
        standing = self._positions.claim()
        self._fail.hit("sql.opened")
        tables = TableSet(self._connected, create=self._settings.create)
        self._staging = Staging(self._connected, tables, self._settings, self._positions.staged)
        staging = None if self._settings.load == "direct" else self._staging
        self._load = TableLoad(self._connected, tables, self._settings, staging)
        self._number = standing.last.number if standing.last else 0
        self._begin(Pending(standing.last.offsets if standing.last else {}))
        return standing

    def put(self, delivery: Delivery) -> None:
        self._pending.take(delivery, self._clock.monotonic_ms())
        self._waiting.take(delivery, self._settings.table)

    def flush(self, force: bool = False) -> Commit | None:
        if not self._pending or not (force or self._is_due()):
            return None
        database = self._database()
        try:
            commit = self._committed(database)
        except BaseException:
            self._connected = None
            database.close()
            raise
        self._number = commit.number
        self._begin(Pending(commit.offsets))
        return commit

    def next_flush_ms(self) -> int | None:
        if self._pending.since_ms is None:
            return None
        if self._is_due():
            return 0
        if self._context.bounded:
            return None
        return max(0, self._settings.batch.interval - (self._clock.monotonic_ms() - self._pending.since_ms))

    def finish(self) -> None:
        """Rows that wait in a staging table go to theirs."""
        if not self._staging.staged:
            return
        database = self._database()
        database.begin()
        self._positions.lock()
        self._staging.move()
        self._positions.nothing_is_staged()
        self._fail.hit("sql.moved")
        database.commit()
        self._fail.hit("sql.finished")

    def close(self) -> None:
        if self._connected is not None:
            self._connected.close()
            self._connected = None

    def _begin(self, pending: Pending) -> None:
        self._pending = pending
        self._waiting = Waiting()

    def _database(self) -> Database:
        if self._connected is None:
            raise ConnectorError("this sink is closed, or a commit has failed: it has to be opened again")
        return self._connected

    def _is_due(self) -> bool:
        batch, since = self._settings.batch, self._pending.since_ms
        waited = since is not None and self._clock.monotonic_ms() - since >= batch.interval
        return (
            (waited and not self._context.bounded)
            or self._waiting.rows >= batch.rows
            or self._waiting.size_bytes >= batch.bytes
            or self._pending.dead_bytes >= MAX_HELD_BYTES
        )

    def _committed(self, database: Database) -> Commit:
        """Tables are made and grown first, for not every database does that within a transaction."""
        tables = [self._load.prepare(name, parts, self._refuse) for name, parts in self._waiting.tables.items()]
        database.begin()
        self._positions.lock()
        rows = sum(self._load.write(table, self._refuse) for table in tables)
        commit = self._commit(rows, tables)
        self._positions.write(commit, self._staging.staged)
        self._fail.hit("sql.written")
        database.commit()
        self._fail.hit("sql.committed")
        self._positions.committed(commit)
        return commit

    def _commit(self, rows: int, tables: list[TableSteps]) -> Commit:
        return Commit(
            self._number + 1,
            self._pending.offsets(),
            tuple(self._pending.dead),
            rows=rows,
            size_bytes=self._waiting.size_bytes,
            filtered=sum(table.left_out for table in tables),
        )

    def _refuse(self, rows: Rows, error: str, reason: str) -> None:
        letters = self._waiting.letters(rows, error, reason[:_LONGEST_REASON])
        if letters and not self._context.tolerate:
            first = letters[0]
            raise RecordRefused(
                f"{first.topic}-{first.partition} offset {first.offset}: {first.reason}",
                hint="set errors.tolerance to dead-letter to keep such records apart and go on",
                topic=first.topic,
                partition=first.partition,
                offset=first.offset,
                sink=self._context.name,
            )
        self._pending.refuse(letters)
