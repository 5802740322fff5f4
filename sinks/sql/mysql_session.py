"""The connection to MariaDB or MySQL, and what its errors mean."""

from __future__ import annotations

from typing import Any

from ingest.database_url import masked, pymysql_parameters, server_address
from ingest.errors import ConnectorError, IngestError, MissingDependency, StorageFull, SystemUnavailable
from ingest.sinks.sql.database import RowsRefused

_PORT = 3306
_MODE = "STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
"""A value that does not fit is an error; a zero is no request for the next number; backslashes escape."""
_SETTINGS = f"sql_mode = '{_MODE}', time_zone = '+00:00'"

_FAULTS_OF_ROWS = {
    1022, 1048, 1062, 1118, 1169, 1216, 1217, 1264, 1265, 1292, 1364, 1366, 1367, 1369, 1406, 1411, 1416, 1451, 1452,
    1526, 1557, 1586, 1644, 1690, 1761, 1762, 3140, 3819, 4025, 4078,
}  # fmt: skip
"""Null, doubles, out of range, too long, no date, foreign keys, checks, no partition for it, a trigger's SIGNAL."""
_FULL = {1021, 1114}
_PASSING = {1040, 1053, 1080, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1205, 1213, 1317, 1927, 1969, 3024}
"""Too many clients, shutdown, aborted connections, locks not given, deadlock, killed."""
_HINTS = {
    1045: "the user or the password is wrong, or the user may not come from this machine",
    1049: "the database is not there: the URL ends in its name",
    1130: "the server lets nobody in from this machine",
    1146: "the table was dropped while it was written to",
    1054: "a column was dropped while the table was written to",
    1021: "the server's disk is full: make room there; nothing is lost meanwhile",
    1114: "the server's disk, or the table's space, is full: make room there; nothing is lost meanwhile",
    1205: "a lock was not given in time: something holds rows of the table, or that of this sink in _ingest_positions",
    1213: "two transactions waited for each other; it is tried again",
    1787: "MySQL can do that from 8.0.13 on: update the server, or switch its GTIDs off",
    1290: "the server is read-only: is it a replica?",
}
_GRANT = "grant it: GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, CREATE TEMPORARY TABLES ON database.* TO ...;"
_HINTS |= dict.fromkeys((1044, 1142, 1143, 1227, 1370), _GRANT)


def connected(url: str, lock_wait_ms: int) -> Any:
    """A PyMySQL connection that commits each statement, in UTF-8, UTC and strict. Raises ``ConnectorError``."""
    try:
        import pymysql
    except ImportError as error:
        raise MissingDependency("MariaDB and MySQL need PyMySQL", hint="pip install 'ingest[mysql]'") from error
    address = server_address(url, _PORT)
    wait = max(1, round(lock_wait_ms / 1000))  # whole seconds, and one at least
    waits = f"innodb_lock_wait_timeout = {wait}, lock_wait_timeout = {wait}"
    try:
        return pymysql.connect(
            host=address.host,
            port=address.port,
            user=address.user or None,
            password=address.password,
            database=address.database or None,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=10,
            program_name="ingest",
            init_command=f"SET SESSION {_SETTINGS}, {waits}",
            **pymysql_parameters(address),
        )
    except (pymysql.Error, RuntimeError) as error:
        raise failure(error, url) from None


def refusal(error: Exception) -> RowsRefused | None:
    """Where it is the rows that are at fault."""
    code, said = _told(error)
    return RowsRefused(type(error).__name__, said) if code in _FAULTS_OF_ROWS else None


def failure(error: Exception, url: str) -> IngestError:
    """Numbers from 2000 on are the client's own: it was not answered, or not to the end."""
    code, said = _told(error)
    passing = code in _PASSING or 2000 <= code < 3000 or not code
    kind = StorageFull if code in _FULL else SystemUnavailable if passing else ConnectorError
    return kind(f"MariaDB at {masked(url)}: {said}", hint=_HINTS.get(code), code=code)


def _told(error: Exception) -> tuple[int, str]:
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    return code, str(error.args[1]) if len(error.args) > 1 else str(error)
