"""The connection for everything but the stream: the server's settings, its tables, how far its log goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from ingest.database_url import server_address
from ingest.errors import ConnectorError, PositionLost
from ingest.sources.databases.tables import TableInfo, chosen
from ingest.sources.mysql import catalogue
from ingest.sources.mysql.failures import failure
from ingest.sources.mysql.session import connected, run
from ingest.sources.mysql_cdc.place import Place
from ingest.sources.mysql_cdc.settings import MysqlCdcSettings

_COLUMNS = """
SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, COALESCE(CHARACTER_SET_NAME, '') FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION"""
_KEY = """
SELECT COLUMN_NAME FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND INDEX_NAME = 'PRIMARY' ORDER BY SEQ_IN_INDEX"""
_DENIED = (1227, 1045, 1142)
_GRANT = "grant it: GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO ...; (MySQL: REPLICATION CLIENT)"

GONE = (
    "its binlogs were purged or reset, or this is another server: `ingest positions reset` takes a new snapshot; raise "
    "expire_logs_days above the longest time that the source may stand still"
)
_NO_LOG = "set log_bin in its configuration, and restart it"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CatalogueColumn:
    """What the server says of a column now."""

    name: str
    data_type: str
    column_type: str
    charset: str


class Server:
    """Connects at once; raises ``ConnectorError`` throughout."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection = connected(url)
        self.is_mariadb = "MariaDB" in str(self._value("SELECT VERSION()"))

    @property
    def database(self) -> str:
        """That of the URL; a table without one means it."""
        return server_address(self._url, 3306).database

    def check(self, server_id: int | None) -> None:
        """That the server writes what is needed."""
        if not int(self._value("SELECT @@global.log_bin")):
            raise ConnectorError("the server writes no binlog", hint="set log_bin in its configuration, and restart it")
        self._check_setting("binlog_format", "ROW", "its binlog holds statements, not rows")
        self._check_setting("binlog_row_image", "FULL", "rows in its binlog have not all columns")
        if server_id is not None and server_id == int(self._value("SELECT @@server_id")):
            raise ConnectorError(f"server_id {server_id} is the server's own", hint="choose another server_id")
        self.end()

    def end(self) -> Place:
        """Behind everything that is committed by now."""
        status = self.ask(
            "SHOW MASTER STATUS" if self.is_mariadb or not self._is_new_mysql() else "SHOW BINARY LOG STATUS"
        )
        if not status:
            raise ConnectorError("the server writes no binlog", hint="set log_bin in its configuration, and restart it")
        file, position = str(status[0][0]), int(status[0][1])
        return Place(file, position, 0, "" if self.is_mariadb else normal(str(status[0][4])))

    def check_log(self, place: Place) -> None:
        """That the log at ``place`` is the one that was read, as far as GTIDs tell. Raises ``PositionLost``."""
        if self.is_mariadb:
            there = self.gtid_at(place)
            same = there == place.gtid
        else:
            ((there, found),) = self.ask(
                "SELECT @@global.gtid_executed, GTID_SUBSET(%s, @@global.gtid_executed)", [place.gtid]
            )
            same = bool(found)
        if not same:
            raise PositionLost(
                f"the server's log at {place.file}:{place.position} is not the one that this source has read: it is at "
                f"{there or 'no GTID'} there, and was at {place.gtid}",
                hint="this is another server, or its binlogs were reset: `ingest positions reset` takes a new snapshot",
            )

    def gtid_at(self, place: Place) -> str:
        """The state of the log there, in order; "" where it is not known. MySQL tells it of the end only."""
        if not self.is_mariadb:
            return ""
        found = self._value(f"SELECT BINLOG_GTID_POS('{place.file}', {place.position})")
        if found is None:
            raise PositionLost(
                f"the server has no longer what comes after {place.file}:{place.position}",
                hint=GONE,
            )
        return normal(str(found))

    def tables(self, settings: MysqlCdcSettings) -> list[TableInfo]:
        """Those that the settings name and that are there; views have no changes."""
        if not self.database and any("." not in pattern for pattern in settings.tables):
            raise ConnectorError(
                "the URL names no database: a table is written database.table",
                hint="end the URL in the database, mysql://user@host/database, or name it before each table",
            )
        known = [each.table for each in self._asked(lambda: catalogue.known_tables(self._connection)) if each.engine]
        return chosen(known, settings.tables, settings.exclude, self.database)

    def columns(self, schema: str, table: str) -> list[CatalogueColumn]:
        """As they are now; none, if the table is not there."""
        return [CatalogueColumn(*map(str, row)) for row in self.ask(_COLUMNS, [schema, table])]

    def key(self, schema: str, table: str) -> list[str]:
        """The columns of its primary key, as it is now."""
        return [str(row[0]) for row in self.ask(_KEY, [schema, table])]

    def connection(self) -> Any:
        """To be asked by others."""
        return self._connection

    def ask(self, statement: str, values: Sequence[object] | None = None) -> list[tuple[Any, ...]]:
        """The rows of a statement."""
        return self._asked(lambda: run(self._connection, statement, values))

    def end_thread(self, number: int) -> None:
        """Ends another connection of this user, if it is still there: it would keep binlogs from being purged."""
        with suppress(ConnectorError):
            self.ask(f"KILL {number}")

    def close(self) -> None:
        """Ends the connection."""
        self._connection._force_close()

    def _check_setting(self, name: str, wanted: str, otherwise: str) -> None:
        found = str(self._value(f"SELECT @@global.{name}"))
        if found.upper() != wanted:
            raise ConnectorError(
                f"the server's {name} is {found}: {otherwise}",
                hint=f"SET GLOBAL {name} = '{wanted}', and in its configuration; open sessions keep the old one",
            )

    def _is_new_mysql(self) -> bool:
        version = str(self._value("SELECT VERSION()")).split(".")
        return (int(version[0]), int(version[1])) >= (8, 4)

    def _value(self, query: str) -> Any:
        return self.ask(query)[0][0]

    def _asked(self, ask: Callable[[], T]) -> T:
        import pymysql

        try:
            return ask()
        except pymysql.Error as error:
            raise denied(error, self._url) from None


def denied(error: Exception, url: str) -> ConnectorError:
    """As ``failure``; a privilege that is missing is one of replicas."""
    found = failure(error, url)
    if error.args and error.args[0] in _DENIED:
        found.hint = _GRANT
    return found


def normal(gtid: str) -> str:
    """MariaDB names the domains of a state in any order; MySQL puts each server on a line of its own."""
    return ",".join(sorted(filter(None, "".join(gtid.split()).split(","))))
