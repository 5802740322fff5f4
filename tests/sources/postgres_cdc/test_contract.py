"""The contract of sources, kept by ``postgres_cdc``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from postgres_capture import drop_slots
from servers.postgres import PostgresServer

from ingest.connectors import SourceTask
from ingest.connectors.testing import SourceContract
from ingest.sources.postgres_cdc.connector import PostgresCdcSource


class TestPostgresCdc(SourceContract):
    @pytest.fixture(autouse=True)
    def _server(self, postgres: PostgresServer, url: str) -> None:
        self.postgres, self.url = postgres, url
        postgres.execute("CREATE TABLE words (id serial PRIMARY KEY, word text, day date)", url=url)

    def source(self, folder: Path) -> PostgresCdcSource:
        return PostgresCdcSource(PostgresCdcSource.Settings(url=self.url, tables=["words"]))

    @contextmanager
    def opened(self, folder: Path, found: Any, **how: Any) -> Iterator[SourceTask]:
        """The suite begins several times anew; a source that has forgotten its slot would refuse to take it over."""
        if not found.positions:
            drop_slots(self.postgres)
        with super().opened(folder, found, **how) as task:
            yield task

    def fill(self, folder: Path, rows: Sequence[str]) -> None:
        inserts = [f"INSERT INTO words (word) VALUES ('{row}')" for row in rows]
        self.postgres.execute("SELECT 1", *inserts, url=self.url)

    def spoil(self, folder: Path) -> None:
        self.postgres.execute("INSERT INTO words (day) VALUES ('infinity')", url=self.url)

    def text(self, value: Any) -> str:
        return str(value["after"]["word"])
