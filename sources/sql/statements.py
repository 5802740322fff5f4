"""Single statements and what a database holds: for the command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ingest.database_url import is_known, kind_of, masked, sqlite_path
from ingest.errors import ConnectorError

Answer = tuple[list[str], Iterator[Sequence[Any]]]
_TABLES = """
SELECT table_schema AS "schema", table_name AS "name", lower(replace(table_type, 'BASE ', '')) AS "kind"
FROM information_schema.tables
WHERE table_schema NOT IN ('information_schema', 'pg_catalog', 'mysql', 'performance_schema', 'sys') ORDER BY 1, 2"""
_SQLITE_TABLES = """
SELECT 'main' AS "schema", name, type AS "kind" FROM sqlite_schema
WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"""
_POSTGRES_DATABASES = "SELECT datname AS name FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1"
_BATCH = 1000


@contextmanager
def answer(url: str, base_folder: Path, statement: str, *, write: bool = False) -> Iterator[Answer]:
    """The names and rows that a statement gives. Without ``write`` the database itself refuses to change anything;
    with it, what was changed is committed at the end. Raises ``ConnectorError``."""
    with _opened(url, base_folder, write) as (cursor, error):
        try:
            cursor.execute(statement)
            names = [str(column[0]) for column in cursor.description or ()]
            yield names, _rows(cursor, names, error, url)
        except error as problem:
            raise ConnectorError(f"{masked(url)}: {str(problem).strip()}") from None


def tables_statement(url: str) -> str:
    """Asks for schema, name and kind of all tables and views."""
    return _SQLITE_TABLES if is_known(url) and kind_of(url) == "sqlite" else _TABLES


def databases_statement(url: str) -> str:
    """Asks for the databases of a server."""
    kind = kind_of(url) if is_known(url) else ""
    if kind == "postgresql":
        return _POSTGRES_DATABASES
    if kind == "mysql":
        return "SELECT schema_name AS name FROM information_schema.schemata ORDER BY 1"
    if kind == "sqlite":
        return "SELECT name FROM pragma_database_list ORDER BY seq"
    return "SELECT DISTINCT table_schema AS name FROM information_schema.tables ORDER BY 1"


def _rows(cursor: Any, names: list[str], error: type[Exception], url: str) -> Iterator[Sequence[Any]]:
    if not names:
        return
    try:
        while rows := cursor.fetchmany(_BATCH):
            yield from rows
    except error as problem:
        raise ConnectorError(f"{masked(url)}: {str(problem).strip()}") from None


@contextmanager
def _opened(url: str, base_folder: Path, write: bool) -> Iterator[tuple[Any, type[Exception]]]:
    """A cursor in a transaction, and what its driver raises."""
    kind = kind_of(url) if is_known(url) else ""
    connect = {"postgresql": _postgres, "mysql": _mysql, "sqlite": _sqlite}.get(kind, _other)
    connection, error = connect(url, base_folder, write)
    with closing(connection):
        yield connection.cursor(), error
        if write:
            connection.commit()


def _postgres(url: str, base_folder: Path, write: bool) -> tuple[Any, type[Exception]]:
    import psycopg

    from ingest.sources.postgres.session import connected

    connection = connected(url)
    connection.autocommit = False
    connection.read_only = not write
    return connection, psycopg.Error


def _mysql(url: str, base_folder: Path, write: bool) -> tuple[Any, type[Exception]]:
    from ingest.sources.mysql.session import connected

    connection = connected(url)
    import pymysql

    connection.query("START TRANSACTION" if write else "START TRANSACTION READ ONLY")
    return connection, pymysql.Error


def _sqlite(url: str, base_folder: Path, write: bool) -> tuple[Any, type[Exception]]:
    import sqlite3

    path = sqlite_path(url, base_folder)
    if not path.is_file():
        raise ConnectorError(f"{path} is no file", hint="sqlite:////absolute/path has four slashes")
    connection = sqlite3.connect(path)
    if not write:
        connection.execute("PRAGMA query_only = on")
    return connection, sqlite3.Error


def _other(url: str, base_folder: Path, write: bool) -> tuple[Any, type[Exception]]:
    """What is not committed is undone; but not every database can undo everything, so only readers pass."""
    from ingest.sources.dialects.connecting import connected

    connection, _ = connected(url)
    return _OnlyReading(connection, write), Exception


class _OnlyReading:
    """The part of a DBAPI connection that is used here, over SQLAlchemy's."""

    description: Sequence[Any] | None = None

    def __init__(self, connection: Any, write: bool) -> None:
        self._connection = connection
        self._write = write

    def cursor(self) -> Any:
        return self

    def execute(self, statement: str) -> None:
        word = statement.split(None, 1)[0].lower() if statement.split() else ""
        if not self._write and word not in ("select", "show", "describe", "explain", "values"):
            raise ConnectorError(f"{word} may change something", hint="--write allows it")
        self._result = self._connection.exec_driver_sql(statement)
        self.description = [(name,) for name in list(self._result.keys())] if self._result.returns_rows else None

    def fetchmany(self, count: int) -> Sequence[Any]:
        rows: Sequence[Any] = self._result.fetchmany(count)
        return rows

    def commit(self) -> None:
        self._connection.commit()

    def close(self) -> None:
        self._connection.close()
        self._connection.engine.dispose()
