"""One server of each kind for all tests of the folder; in PostgreSQL each begins with an empty schema ``public``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers.mariadb import MariadbServer, mariadb_server
from servers.mysql import MysqlServer, mysql_server
from servers.postgres import PostgresServer, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def _database(postgres: PostgresServer) -> str:
    return postgres.database()


@pytest.fixture
def url(postgres: PostgresServer, _database: str) -> str:
    own = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
    schemas = [name for (name,) in postgres.execute(own, url=_database)]
    postgres.execute(*(f"DROP SCHEMA {name} CASCADE" for name in schemas), "CREATE SCHEMA public", url=_database)
    return _database


@pytest.fixture(scope="session")
def own_mariadb() -> Iterator[MariadbServer]:
    with mariadb_server() as server:
        yield server


@pytest.fixture(scope="session")
def own_mysql() -> Iterator[MysqlServer]:
    with mysql_server() as server:
        yield server


@pytest.fixture(scope="session", params=["mariadb", pytest.param("mysql", marks=pytest.mark.slow)])
def mariadb(request: pytest.FixtureRequest) -> MariadbServer | MysqlServer:
    """The tests of MariaDB hold for MySQL."""
    found: MariadbServer | MysqlServer = request.getfixturevalue(f"own_{request.param}")
    return found
