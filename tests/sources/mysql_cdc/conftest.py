"""One MariaDB server for all tests of the folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers.mariadb import MariadbServer, mariadb_server
from servers.mysql import mysql_server


@pytest.fixture(scope="session", params=["mariadb", pytest.param("mysql", marks=pytest.mark.slow)])
def mariadb(request: pytest.FixtureRequest) -> Iterator[MariadbServer]:
    """The tests of MariaDB hold for MySQL."""
    with mariadb_server() if request.param == "mariadb" else mysql_server() as server:
        yield server


@pytest.fixture
def url(mariadb: MariadbServer) -> str:
    return mariadb.database()
