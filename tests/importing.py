"""Plays the engine for one import of the source ``sql``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.connectors import EndOfInput, Polled, Position, Records, SourceContext
from ingest.environment import Environment
from ingest.sources.sql.connector import SqlSource
from ingest.sources.sql.settings import SqlSettings


@dataclass
class Imported:
    """What one import handed over; ``dead`` are reasons and contents."""

    records: list[Records] = field(default_factory=list)
    dead: list[tuple[str, bytes]] = field(default_factory=list)
    positions: dict[str, Position | None] = field(default_factory=dict)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Of all tables."""
        return [row for records in self.records for row in records.value.to_pylist()]

    @property
    def by_stream(self) -> dict[str, list[dict[str, Any]]]:
        """The rows of each table."""
        found: dict[str, list[dict[str, Any]]] = {}
        for records in self.records:
            found.setdefault(records.stream, []).extend(records.value.to_pylist())
        return found

    def add(self, polled: Polled) -> None:
        self.records += polled.records
        self.positions |= polled.positions
        for dead in polled.dead:
            self.dead += zip(dead.reasons, dead.records.value.to_pylist(), strict=True)


def imported(
    folder: Path,
    *,
    positions: Mapping[str, Position] | None = None,
    topic: str = "t",
    batch_bytes: int = 4 << 20,
    after_open: Callable[[], object] = lambda: None,
    after_part: Callable[[], object] = lambda: None,
    stop_after_commits: int | None = None,
    **settings: Any,
) -> Imported:
    """Imports to the end, or dies after so many commits; ``topic`` is what the engine hands over."""
    task = SqlSource(SqlSettings(**settings)).tasks(1)[0]
    context = SourceContext(
        "in",
        folder,
        Environment(),
        until_caught_up=True,
        max_batch_bytes=batch_bytes,
        stopping=threading.Event(),
        topic=topic,
    )
    found, commits = Imported(), 0
    try:
        task.open(context, positions or {})
        after_open()
        while True:
            try:
                polled = task.poll()
            except EndOfInput:
                return found
            if polled is not None:
                found.add(polled)
                after_part()
                commits += not polled.open
                if commits == stop_after_commits:
                    return found
    finally:
        task.close()
