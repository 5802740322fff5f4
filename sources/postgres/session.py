"""Connections to PostgreSQL that all see one snapshot."""

from __future__ import annotations

from typing import Any

from ingest.errors import ConnectorError, MissingDependency
from ingest.sources.databases.url import libpq
from ingest.sources.postgres.failures import failure

_SETTINGS = {
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "iso_8601",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "statement_timeout": "0",
    "lock_timeout": "30s",
    "idle_in_transaction_session_timeout": "0",
}


def connected(url: str) -> Any:
    """A psycopg connection that speaks UTF-8 and ISO dates, whatever the server prefers. Raises ``ConnectorError``."""
    return _prepared(url)


def replicating(url: str) -> Any:
    """As ``connected``, for commands of replication on the database that the URL names."""
    return _prepared(url, replication="database")


def _prepared(url: str, **options: Any) -> Any:
    try:
        import psycopg
    except ImportError as error:
        raise MissingDependency("PostgreSQL needs psycopg", hint="pip install 'ingest[postgres]'") from error
    connection = None
    try:
        connection = psycopg.connect(
            libpq(url), autocommit=True, connect_timeout=10, application_name="ingest", **options
        )
        for name, value in _SETTINGS.items():
            connection.execute(f"SELECT set_config('{name}', '{value}', false)")  # a walsender takes no parameters
    except psycopg.Error as error:
        if connection is not None:
            connection.close()
        raise failure(error, url) from None
    return connection


def leading(url: str) -> tuple[Any, str]:
    """A read-only transaction that sees the database as it is now, and the name of its snapshot for others."""
    connection = connected(url)
    try:
        encoding = connection.execute("SHOW server_encoding").fetchone()[0]
        if encoding == "SQL_ASCII":
            raise ConnectorError(
                "the database's encoding is SQL_ASCII: what its texts mean is not known",
                hint="convert it: dump it, and load it into a database WITH ENCODING 'UTF8'",
            )
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return connection, _snapshot(connection)
    except BaseException:
        connection.close()
        raise


def following(url: str, snapshot: str) -> Any:
    """Another transaction that sees the same."""
    import psycopg

    connection = connected(url)
    try:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        connection.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
    except psycopg.Error as error:
        connection.close()
        raise failure(error, url) from None
    return connection


def _snapshot(connection: Any) -> str:
    return str(connection.execute("SELECT pg_export_snapshot()").fetchone()[0])
