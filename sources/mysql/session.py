"""Connections to MariaDB that all see the same moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from ingest.database_url import pymysql_parameters, server_address
from ingest.errors import ConnectorError, MissingDependency
from ingest.sources.mysql.failures import failure

_PORT = 3306
_SETTINGS = (
    "time_zone = '+00:00'",
    "sql_mode = REPLACE(@@sql_mode, 'PAD_CHAR_TO_FULL_LENGTH', '')",
    "net_write_timeout = 31536000",  # rows wait at the server while the hub is full
    "wait_timeout = 31536000",
    "lock_wait_timeout = 30",
    "max_statement_time = 0",
    "max_execution_time = 0",
    "idle_transaction_timeout = 0",
    "idle_readonly_transaction_timeout = 0",
)
_UNKNOWN_VARIABLE, _MISSING_PRIVILEGE, _LOCK_WAIT = 1193, 1227, 1205


def connected(url: str) -> Any:
    """A PyMySQL connection in UTF-8 and UTC, whatever the server prefers. Raises ``ConnectorError``."""
    try:
        import pymysql
    except ImportError as error:
        raise MissingDependency("MariaDB and MySQL need PyMySQL", hint="pip install 'ingest[mysql]'") from error
    address = server_address(url, _PORT)
    try:
        connection = pymysql.connect(
            host=address.host,
            port=address.port,
            user=address.user or None,
            password=address.password,
            database=address.database or None,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=10,
            program_name="ingest",
            **pymysql_parameters(address),
        )
        for setting in _SETTINGS:
            _set(connection, setting)
    except (pymysql.Error, RuntimeError) as error:
        raise failure(error, url) from None
    return connection


def _set(connection: Any, setting: str) -> None:
    """A setting that this server has; MariaDB and MySQL name some differently."""
    import pymysql

    try:
        run(connection, f"SET SESSION {setting}")
    except pymysql.Error as error:
        if error.args[0] != _UNKNOWN_VARIABLE:
            raise


def run(connection: Any, statement: str, values: Sequence[object] | None = None) -> list[tuple[Any, ...]]:
    """The rows of a statement, for a few of them. Raises PyMySQL's errors."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def begin(connection: Any) -> None:
    """A read-only transaction that sees the database as it is now."""
    run(connection, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    run(connection, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")


def begin_together(connections: list[Any], begun: Callable[[Any, bool], None], *, lock: bool) -> str | None:
    """With ``lock``, begins on all of them while nobody can commit; without, on the first.

    Calls ``begun`` with the first before others may commit, and whether that is so. If the lock is not allowed or not
    given in time, only the first one begins, and the text says why.
    """
    import pymysql

    first = connections[0]
    refused = None
    try:
        if lock:
            run(first, "FLUSH TABLES WITH READ LOCK")
    except pymysql.Error as error:
        if error.args[0] not in (_MISSING_PRIVILEGE, _LOCK_WAIT):
            raise
        refused = str(error.args[1])
    try:
        locked = lock and not refused
        for connection in connections if locked else connections[:1]:
            begin(connection)
        begun(first, locked)
    finally:
        if lock:
            run(first, "UNLOCK TABLES")
    return refused


def end(connection: Any, url: str, *, busy: bool) -> None:
    """Closes it; a statement that nobody waits for is ended on the server, too: it would run on."""
    import pymysql

    with suppress(pymysql.Error, ConnectorError, OSError):
        if busy:
            other = connected(url)
            with suppress(pymysql.Error):
                run(other, f"KILL {connection.thread_id()}")
            other.close()
    connection._force_close() if busy else connection.close()
