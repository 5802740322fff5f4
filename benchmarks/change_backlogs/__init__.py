"""Changes that wait in a database's log, to be read again and again, by each engine from their beginning."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

TRANSACTION = 1000
"""Changes of a transaction: 600 inserts and 400 updates, of a table of 18 columns."""


class Backlog(Protocol):
    """Made with its server and a folder to keep beginnings in; nothing waits yet."""

    def fill(self, transactions: int) -> None:
        """Takes the beginnings of both engines, and then makes so many transactions."""

    def ours(self, folder: Path) -> AbstractContextManager[Path]:
        """The pipeline file of a hub that stands at the beginning, in a new folder."""

    def theirs(self, folder: Path) -> AbstractContextManager[dict[str, str]]:
        """The settings with which Debezium stands at the beginning; ``folder`` is new, too, and may hold its files."""
