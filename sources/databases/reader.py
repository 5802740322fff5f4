"""How the source ``sql`` reads any database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from ingest.errors import ConnectorError
from ingest.sources.databases.literals import literal
from ingest.sources.databases.parts import Part
from ingest.sources.databases.tables import TableInfo, quoted


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


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of a table: those that meet ``condition`` (the database's own SQL; all, if it is empty), in the order of
    the column ``order`` if one is named."""

    table: TableInfo
    condition: str = ""
    order: str = ""


class TableReader(ABC):
    """Reads tables as they were at one moment: when ``tables`` was called. Used by one thread."""

    row_values: ClassVar[bool] = True
    """Whether the database compares ``(a, b) >= (1, 2)``, and uses an index for it."""

    @abstractmethod
    def tables(self, selection: Selection) -> Sequence[TableInfo]:
        """Connects, fixes the moment, and says what is selected. Raises ``ConnectorError``."""

    @abstractmethod
    def start(self, tables: Sequence[TableInfo]) -> None:
        """Begins to read these."""

    def read(self, pieces: Sequence[Piece]) -> None:
        """Begins to read these, several at a time where the reader can; again after ``Finished``."""
        raise ConnectorError("this database's tables are read whole: incremental, split_by and resume need more")

    def ask(self, statement: str) -> Sequence[Sequence[Any]]:
        """The rows that a short SELECT gives, at the reader's moment. Raises ``ConnectorError``."""
        raise ConnectorError("this database cannot be asked")

    def named(self, column: str) -> str:
        """A column's name as the database's SQL has it."""
        return quoted(column)

    def literal(self, value: object) -> str:
        """A value as the database's SQL has it."""
        return literal(value)

    def sample(self, table: TableInfo, rows: int) -> str:
        """What to write behind FROM to see about so many rows, spread over the table; "" is all of them."""
        return ""

    def expected_rows(self, table: TableInfo) -> int | None:
        """About how many rows will be read, if that is known at once."""
        return None

    def now(self) -> datetime:
        """The server's clock, in UTC."""
        raise ConnectorError("this database's clock is not asked: lag cannot be used")

    @abstractmethod
    def next_part(self, timeout_ms: int) -> Part | None:
        """The next rows, or None if none came in time. Raises ``Finished``, or ``ConnectorError``."""

    @abstractmethod
    def close(self) -> None:
        """Ends all statements and connections; also after a failure half-way."""
