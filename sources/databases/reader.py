"""How the source ``sql`` reads any database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from ingest.sources.databases.parts import Part
from ingest.sources.databases.tables import TableInfo


class Finished(Exception):
    """Raised by ``next_part``: every table was read. A signal, no error."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What to read: the tables that patterns name, or one query."""

    tables: Sequence[str] = ()
    exclude: Sequence[str] = ()
    query: str | None = None
    columns: Sequence[str] | None = None
    where: str | None = None


class TableReader(ABC):
    """Reads tables as they were at one moment: when ``tables`` was called. Used by one thread."""

    @abstractmethod
    def tables(self, selection: Selection) -> Sequence[TableInfo]:
        """Connects, fixes the moment, and says what is selected. Raises ``ConnectorError``."""

    @abstractmethod
    def start(self, tables: Sequence[TableInfo]) -> None:
        """Begins to read these."""

    @abstractmethod
    def next_part(self, timeout_ms: int) -> Part | None:
        """The next rows, or None if none came in time. Raises ``Finished``, or ``ConnectorError``."""

    @abstractmethod
    def close(self) -> None:
        """Ends all statements and connections; also after a failure half-way."""
