"""One MariaDB server for all tests of the folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers.mariadb import MariadbServer, mariadb_server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariadbServer]:
    with mariadb_server() as server:
        yield server


@pytest.fixture
def url(mariadb: MariadbServer) -> str:
    return mariadb.database()
