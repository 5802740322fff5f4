"""What MariaDB and MySQL say when they refuse, as errors with hints."""

from __future__ import annotations

from ingest.database_url import masked
from ingest.errors import ConnectorError, SystemUnavailable

_NO_PRIVILEGE = (1142, 1143, 1044, 1370)
_HINTS = {
    1045: "the user or the password is wrong, or the user may not come from this machine",
    1049: "the database is not there: the URL ends in its name",
    1130: "the server lets nobody in from this machine",
    1227: "grant it: GRANT RELOAD ON *.* TO ...;",
    1146: "a table that is named is not there",
    1054: "a column that is named is not there",
    1064: "the query or the setting `where` is not SQL that the server reads",
    1205: "a lock was not given in time: something holds the table, perhaps an ALTER TABLE",
    1412: "a table was altered when the import began; it is tried again",
    1665: "set binlog_format=ROW in the server's configuration",
}
_HINTS |= dict.fromkeys(_NO_PRIVILEGE, "grant it: GRANT SELECT ON database.* TO ...;")
_PASSING = {1040, 1053, 1080, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1205, 1213, 1317, 1412, 1927, 1969, 3024}
"""Too many clients, shutdown, aborted connections, locks not given, killed, a statement that took too long."""


def failure(error: Exception, url: str) -> ConnectorError:
    """``error`` is PyMySQL's; what may pass is ``SystemUnavailable``. Numbers from 2000 on are the client's own:
    it was not answered, or not to the end."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    said = error.args[1] if len(error.args) > 1 else str(error)
    passing = code in _PASSING or 2000 <= code < 3000 or not code
    kind = SystemUnavailable if passing else ConnectorError
    return kind(f"MariaDB at {masked(url)}: {said}", hint=_HINTS.get(code), code=code)
