"""Servers that the tests of this folder share, and a fresh database of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.mariadb import MariadbServer, mariadb_server
from servers.mysql import MysqlServer, mysql_server
from servers.postgres import PostgresServer, postgres_server
from sql_targets import ServerTarget, SqliteTarget, Target


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariadbServer]:
    with mariadb_server() as server:
        yield server


@pytest.fixture(scope="session")
def mysql() -> Iterator[MysqlServer]:
    with mysql_server(gtids=False) as server:  # with them, this version makes no temporary table in a transaction
        yield server


@pytest.fixture(params=["sqlite", "postgres", "mariadb", pytest.param("mysql", marks=pytest.mark.slow)])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """An empty database."""
    if request.param == "sqlite":
        return SqliteTarget(tmp_path)
    return ServerTarget(request.param, request.getfixturevalue(request.param))
