"""One PostgreSQL server for all tests of the folder; each has a database of its own, and leaves no slot behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from postgres_capture import drop_slots
from servers.postgres import PostgresServer, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture
def url(postgres: PostgresServer) -> Iterator[str]:
    yield postgres.database()
    drop_slots(postgres)
