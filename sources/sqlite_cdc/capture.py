"""Installs and removes what writes changes down, and tells what is installed. docs/guides/change-capture-sqlite.md"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ingest.errors import ConnectorError, SystemUnavailable
from ingest.sources.databases.tables import TableInfo, chosen, quoted
from ingest.sources.sqlite_cdc.triggers import PREFIX, Captured, installing, removing

_CAPTURE = f"{PREFIX}capture"
_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Installed:
    """``columns`` (names and declared types) are those that were there when it was installed, ``id`` is the
    installation's own. ``fault`` tells why changes are not written down as they should be."""

    table: str
    id: str
    columns: Sequence[tuple[str, str]]
    key: Sequence[str]
    fault: str = ""


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The database, to read and write; waits for other writers. Raises ``ConnectorError``."""
    if not path.is_file():
        raise ConnectorError(f"{path} is no file", hint="sqlite:////absolute/path has four slashes")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=_WAIT_S)) as database:
            database.isolation_level = None
            yield database
    except sqlite3.Error as error:
        raise failure(error, path) from None


def failure(error: sqlite3.Error, path: Path) -> ConnectorError:
    """What SQLite says, as an error of ours; retriable where another program is in the way."""
    text = f"SQLite at {path}: {error}"
    if "locked" in str(error) or "busy" in str(error):
        return SystemUnavailable(text, hint="another program writes to it and holds it for long")
    if "readonly" in str(error):
        return ConnectorError(text, hint="changes that were read are removed: the database must be writable")
    return ConnectorError(text)


def install(
    database: sqlite3.Connection, patterns: Sequence[str], exclude: Sequence[str], new_id: Callable[[], str]
) -> list[str]:
    """Begins to write down the changes of these tables, in one transaction; returns those that are new.

    A table whose columns have changed since is installed again, unless changes wait that nobody has read.
    """
    database.execute("BEGIN IMMEDIATE")
    try:
        database.execute(
            f"CREATE TABLE IF NOT EXISTS {_CAPTURE} (name TEXT PRIMARY KEY, id TEXT, columns INTEGER) WITHOUT ROWID"
        )
        done = []
        for name in selected(database, patterns, exclude):
            if _install_one(database, name, new_id):
                done.append(name)
        database.execute("COMMIT")
        return done
    except BaseException:
        database.execute("ROLLBACK")
        raise


def remove(database: sqlite3.Connection, names: Sequence[str] = ()) -> list[str]:
    """Takes triggers and unread changes away, of these tables or of all; returns their names."""
    database.execute("BEGIN IMMEDIATE")
    try:
        here = [each.table for each in installed(database)]
        missing = [name for name in names if name not in here]
        if missing:
            raise ConnectorError(
                f"changes of {missing[0]} are not captured", hint=f"captured: {', '.join(here) or 'none'}"
            )
        gone = list(names) or here
        for name in gone:
            _remove_one(database, name)
        if len(gone) == len(here):
            database.execute(f"DROP TABLE IF EXISTS {_CAPTURE}")
        database.execute("COMMIT")
        return gone
    except BaseException:
        database.execute("ROLLBACK")
        raise


def installed(database: sqlite3.Connection) -> list[Installed]:
    """What is captured now."""
    if not database.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", [_CAPTURE]).fetchone():
        return []
    rows = database.execute(f"SELECT name, id, columns FROM {_CAPTURE} ORDER BY name").fetchall()
    return [_installed_one(database, name, capture_id, count) for name, capture_id, count in rows]


def _installed_one(database: sqlite3.Connection, name: str, capture_id: str, count: int) -> Installed:
    columns, fault = _columns(database, name), ""
    trigger = f"{PREFIX}after_delete_{name}"
    if not columns:
        fault = "the table was dropped"
    elif not database.execute("SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND name = ?", [trigger]).fetchone():
        fault = "its triggers are gone: the table was dropped and made again"
    elif len(columns) != count:
        fault = f"the table has other columns now: {', '.join(column for column, _ in columns[count:])}"
    return Installed(name, capture_id, columns[:count], _key(database, name), fault)


def waiting(database: sqlite3.Connection, name: str) -> int:
    """How many changes of a captured table have not been taken."""
    return int(database.execute(f"SELECT count(*) FROM {changes_table(name)}").fetchone()[0])


def changes_table(name: str) -> str:
    """The table of the changes of a captured table, quoted."""
    return Captured(name, (), (), (), has_rowid=True).changes


def last_change(database: sqlite3.Connection, name: str) -> int:
    """The number of the newest change of a captured table; 0 if there was none."""
    row = database.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", [f"{PREFIX}changes_{name}"]).fetchone()
    return int(row[0]) if row else 0


def selected(database: sqlite3.Connection, patterns: Sequence[str], exclude: Sequence[str]) -> list[str]:
    """The ordinary tables that are meant."""
    query = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' ORDER BY name"
    names = [name for (name,) in database.execute(query)]
    ordinary = [name for name in names if not name.startswith(("sqlite_", PREFIX))]
    known = [TableInfo("main", name, f"main.{quoted(name)}") for name in ordinary]
    return [table.name for table in chosen(known, patterns, exclude, "main")]


def _install_one(database: sqlite3.Connection, name: str, new_id: Callable[[], str]) -> bool:
    table = _described(database, name)
    before = {each.table: each for each in installed(database)}.get(name)
    if before is not None:
        if not before.fault:
            return False
        if waiting(database, name):
            raise ConnectorError(
                f"{name}: {before.fault}, and {waiting(database, name)} changes of it were not read yet",
                hint="run the pipeline until it has caught up, then install again",
                table=name,
            )
    last = last_change(database, name) if before else 0
    _remove_one(database, name)
    for statement in installing(table):
        database.execute(statement)
    if last:  # numbers are never used again
        database.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", [f"{PREFIX}changes_{name}", last])
    entry = (name, before.id if before else new_id(), len(table.columns))
    database.execute(f"INSERT INTO {_CAPTURE} VALUES (?, ?, ?)", entry)
    return True


def _remove_one(database: sqlite3.Connection, name: str) -> None:
    for statement in removing(name):
        database.execute(statement)
    database.execute(f"DELETE FROM {_CAPTURE} WHERE name = ?", [name])


def _described(database: sqlite3.Connection, name: str) -> Captured:
    key = _key(database, name)
    unique = [list(key)] if key else []
    indexes = database.execute("SELECT name FROM pragma_index_list(?) WHERE \"unique\" AND origin <> 'pk'", [name])
    for (index,) in indexes.fetchall():
        columns = [each for (each,) in database.execute("SELECT name FROM pragma_index_info(?)", [index])]
        if None in columns:
            raise ConnectorError(
                f"{name} has a unique index on an expression, {index}: rows that it makes REPLACE remove are not seen",
                hint="make it an index on a generated column, or leave the table out",
                table=name,
            )
        unique.append(columns)
    without = database.execute("SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?", [name]).fetchone()
    return Captured(name, [column for column, _ in _columns(database, name)], key, unique, has_rowid=not without[0])


def _columns(database: sqlite3.Connection, name: str) -> list[tuple[str, str]]:
    """Names and declared types; generated columns too, hidden ones of virtual tables not."""
    query = "SELECT name, type FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid"
    return database.execute(query, [name]).fetchall()


def _key(database: sqlite3.Connection, name: str) -> list[str]:
    query = "SELECT name FROM pragma_table_xinfo(?) WHERE pk ORDER BY pk"
    return [column for (column,) in database.execute(query, [name])]
