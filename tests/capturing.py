"""Plays the engine for a source of changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.connectors import EndOfInput, Polled, Position, Records, SourceConnector, SourceContext
from ingest.environment import Environment


@dataclass
class Captured:
    """What a source handed over until it had caught up, step by step; ``dead`` are reasons and contents."""

    steps: list[Polled] = field(default_factory=list)
    positions: dict[str, Position | None] = field(default_factory=dict)
    dead: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def records(self) -> list[Records]:
        """Of all steps."""
        return [records for step in self.steps for records in step.records]

    @property
    def values(self) -> list[Any]:
        """Of all records; None is a tombstone."""
        return [value for records in self.records for value in records.value.to_pylist()]

    @property
    def keys(self) -> list[Any]:
        """Likewise."""
        return [key for records in self.records for key in records.key.to_pylist()]  # type: ignore[union-attr]

    def ops(self) -> list[tuple[Any, ...]]:
        """Of all changes: op, before, after."""
        return [(each["op"], each["before"], each["after"]) for each in self.values if each is not None]

    def add(self, polled: Polled) -> None:
        self.steps.append(polled)
        self.positions |= polled.positions
        for dead in polled.dead:
            self.dead += zip(dead.reasons, dead.records.value.to_pylist(), strict=True)


def captured(
    source: SourceConnector,
    folder: Path,
    positions: Mapping[str, Any] | None = None,
    *,
    topic: str = "{table}",
    batch_bytes: int = 4 << 20,
    steps: int | None = None,
    after_open: Callable[[], object] = lambda: None,
    report: Callable[[str], None] = lambda text: None,
) -> Captured:
    """Polls until it has caught up, or for so many steps that do not stay open: then it is closed, as by a crash."""
    task = source.tasks(1)[0]
    context = SourceContext(
        "in",
        folder,
        Environment(),
        until_caught_up=True,
        max_batch_bytes=batch_bytes,
        stopping=threading.Event(),
        topic=topic,
        report=report,
    )
    found = Captured(positions=dict(positions or {}))
    try:
        task.open(context, positions or {})
        after_open()
        while steps is None or len([step for step in found.steps if not step.open]) < steps:
            try:
                polled = task.poll()
            except EndOfInput:
                return found
            if polled is not None:
                found.add(polled)
        return found
    finally:
        task.close()
