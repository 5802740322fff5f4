"""The connection for everything but the stream: settings of the server, tables, slot, how far its log goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ingest.errors import ConnectorError
from ingest.sources.databases.signals import COLUMNS
from ingest.sources.databases.tables import TableInfo, chosen, selects
from ingest.sources.postgres.failures import failure
from ingest.sources.postgres.session import connected
from ingest.sources.postgres_cdc import publication, slot
from ingest.sources.postgres_cdc.catalogue import Capturable, capturable
from ingest.sources.postgres_cdc.place import lsn_number
from ingest.sources.postgres_cdc.settings import PostgresCdcSettings
from ingest.sources.postgres_cdc.slot import Slot
from ingest.sources.postgres_cdc.visibility import Seen

_LEAST_VERSION = 130_000
_LOG_END = (
    "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END::text"
)
_HELD = """
SELECT pg_current_wal_lsn() - confirmed_flush_lsn, pg_current_wal_lsn() - restart_lsn
FROM pg_replication_slots WHERE slot_name = %s"""

T = TypeVar("T")


class Database:
    """Connects at once; raises ``ConnectorError`` throughout."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection = connected(url)

    def connection(self) -> Any:
        """To be asked by others; a new one if the last was lost."""
        if self._connection.closed:
            self._connection = connected(self._url)
        return self._connection

    def check(self) -> None:
        """That the server can do it at all."""
        if self._connection.info.server_version < _LEAST_VERSION:
            raise ConnectorError("postgres_cdc needs PostgreSQL 13 or newer")
        level = self._value("SHOW wal_level")
        if level != "logical":
            raise ConnectorError(
                f"the server's wal_level is {level}: its log does not tell the changes of rows",
                hint="ALTER SYSTEM SET wal_level = 'logical'; then restart the server",
            )
        if self._value("SHOW server_encoding") == "SQL_ASCII":
            raise ConnectorError("the database's encoding is SQL_ASCII: what its texts mean is not known")
        if not self._value("SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user"):
            user = self._value("SELECT current_user")
            raise ConnectorError(
                f"the user {user} may not read the log", hint=f'an administrator runs: ALTER ROLE "{user}" REPLICATION'
            )

    def tables(self, settings: PostgresCdcSettings) -> list[Capturable]:
        """Those that the settings name. A partition counts only where its own name stands."""
        known = [each for each in self._known() if each.table.stream != settings.signal_table]
        named = [each for each in known if not each.partition or each.table.stream in settings.tables]
        found = {
            table.stream
            for table in chosen([each.table for each in named], settings.tables, settings.exclude, "public")
        }
        tables = [each for each in named if each.table.stream in found]
        for each in tables:
            if not each.logged:
                raise ConnectorError(
                    f"{each.table.stream} is an unlogged or temporary table: its changes are in no log"
                )
        return tables

    def signal_table(self, settings: PostgresCdcSettings) -> Capturable | None:
        """None where the settings name none."""
        name = settings.signal_table
        if name is None:
            return None
        found = next((each for each in self._known() if each.table.stream == name), None)
        if found is None or not set(COLUMNS) <= set(found.columns):
            raise ConnectorError(
                f"{name}, the table of signals, is not there, or has not the columns {', '.join(COLUMNS)}",
                hint=f"CREATE TABLE {name} (id varchar(64) PRIMARY KEY, type varchar(32) NOT NULL, data text)",
            )
        return found

    def seen(self) -> Seen:
        """What a snapshot sees now."""
        return Seen.of(str(self._value("SELECT pg_current_snapshot()::text")))

    def published(self, name: str, tables: Sequence[Capturable], *, begun: bool) -> list[str]:
        """As ``publication.published``."""
        return publication.published(self.connection(), name, tables, self._url, begun=begun)

    def slot(self, name: str) -> Slot | None:
        """None if there is none."""
        return self._asked(lambda: slot.slot_named(self.connection(), name))

    def drop_slot(self, name: str) -> None:
        """One from which nothing was read."""
        slot.dropped(self.connection(), name, self._url)

    def check_free(self, name: str) -> None:
        """That there is no slot of this name."""
        slot.check_free(self.connection(), name)

    def log_end(self) -> int:
        """The LSN behind everything that is committed by now."""
        import psycopg

        try:
            # Commits that are not yet on the server's own disk are flushed by one that waits for that, and no more.
            connection = self.connection()
            with connection.transaction():
                connection.execute("SET LOCAL synchronous_commit = local")
                connection.execute("SELECT pg_logical_emit_message(true, 'ingest', '')")
        except psycopg.errors.Error:
            self.connection()
        return lsn_number(str(self._value(_LOG_END)))

    def held_back(self, name: str) -> tuple[int, int] | None:
        """Bytes of log that the slot's consumer has not confirmed, and that the server keeps for it."""
        row = self._asked(lambda: self.connection().execute(_HELD, [name]).fetchone())
        return None if row is None or row[0] is None or row[1] is None else (int(row[0]), int(row[1]))

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def _known(self) -> list[Capturable]:
        return self._asked(lambda: capturable(self.connection()))

    def _value(self, query: str) -> Any:
        return self._asked(lambda: self.connection().execute(query).fetchone()[0])

    def _asked(self, ask: Callable[[], T]) -> T:
        import psycopg

        try:
            return ask()
        except psycopg.Error as error:
            raise failure(error, self._url) from None


def wants(settings: PostgresCdcSettings) -> Callable[[TableInfo], bool]:
    """Whether the settings name a table, of those that appear in the stream; that of the signals is one."""
    return lambda table: (
        selects(table, settings.tables, settings.exclude, "public") or table.stream == settings.signal_table
    )
