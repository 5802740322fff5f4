"""Connections through SQLAlchemy, and what goes wrong with them."""

from __future__ import annotations

from typing import Any

from ingest.database_url import masked
from ingest.errors import ConnectorError, MissingDependency, SystemUnavailable

_PACKAGES = {
    "oracle": "oracledb",
    "mssql": "pyodbc",
    "duckdb": "duckdb-engine",
    "snowflake": "snowflake-sqlalchemy",
    "db2": "ibm-db-sa",
    "clickhouse": "clickhouse-connect",
    "redshift": "sqlalchemy-redshift",
    "bigquery": "sqlalchemy-bigquery",
    "trino": "trino[sqlalchemy]",
    "mysql": "mysqlclient",
}
_ONE_MOMENT = ("REPEATABLE READ", "SNAPSHOT", "SERIALIZABLE")
"""In a transaction of such a level all statements see the same moment."""


def connected(url: str) -> tuple[Any, bool]:
    """A connection whose cursors stream, and whether all that it reads is of one moment. Raises ``ConnectorError``."""
    try:
        import sqlalchemy
        from sqlalchemy import exc
    except ImportError as error:
        raise MissingDependency("this database needs SQLAlchemy", hint="pip install 'ingest[sql]'") from error
    engine = _engine(url, sqlalchemy, exc)
    try:
        connection = engine.connect()
        one_moment = _fixed(connection, exc)
        options: dict[str, Any] = {"stream_results": True, "no_parameters": True, "max_row_buffer": 10_000}
        return connection.execution_options(**options), one_moment
    except exc.SQLAlchemyError as error:
        engine.dispose()
        raise failure(error, url) from None


def _engine(url: str, sqlalchemy: Any, exc: Any) -> Any:
    scheme = url.partition("://")[0]
    dialect, _, driver = scheme.partition("+")
    try:
        return sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool)
    except exc.NoSuchModuleError:
        package = _PACKAGES.get(dialect)
        hint = (
            f"pip install {package}" if package else "is the name right? its dialect for SQLAlchemy must be installed"
        )
        raise MissingDependency(f"no dialect for {scheme}:// is installed", hint=hint) from None
    except ImportError as error:
        package = driver or _PACKAGES.get(dialect) or error.name
        raise MissingDependency(f"{scheme}:// needs {error.name}", hint=f"pip install {package}") from None
    except exc.ArgumentError:
        raise ConnectorError(f"{masked(url)} is no URL that SQLAlchemy reads") from None


def _fixed(connection: Any, exc: Any) -> bool:
    """Asks for the first of the levels that the database says it has; what it says is not always so."""
    try:
        known = connection.dialect.get_isolation_level_values(connection.connection.dbapi_connection)
        level = next(level for level in _ONE_MOMENT if level in known)
        connection.execution_options(isolation_level=level)
    except (AttributeError, NotImplementedError, StopIteration, exc.SQLAlchemyError):
        return False
    return True


def failure(error: Any, url: str) -> ConnectorError:
    """``error`` is SQLAlchemy's; a connection that is gone may come back."""
    original = getattr(error, "orig", None) or error
    text = str(original).replace(_password(url) or "\0", "***")
    kind = SystemUnavailable if getattr(error, "connection_invalidated", False) else ConnectorError
    return kind(f"{masked(url)}: {text}")


def _password(url: str) -> str | None:
    from sqlalchemy.engine import make_url

    found = make_url(url).password
    return str(found) if found else None
