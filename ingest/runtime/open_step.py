"""One step of a source on its way into the hub: the transaction that takes its parts, and what they add up to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ingest.connectors import Position
from ingest.hub.contract import HubTransaction
from ingest.runtime.source_batch import SourceBatch


@dataclass(slots=True)
class OpenStep:
    """Counts as in ``SourceBatch``. Holds no record: a step may be larger than memory.

    ``transaction`` is None for a step that needs none.
    """

    transaction: HubTransaction | None
    positions: dict[str, Position | None] = field(default_factory=dict)
    stored: dict[str, Mapping[str, Any] | None] = field(default_factory=dict)
    appends: int = 0
    taken: int = 0
    written: int = 0
    filtered: int = 0
    dead: int = 0
    size_bytes: int = 0

    def in_hub(self) -> HubTransaction:
        """The transaction of a step that has one."""
        assert self.transaction is not None
        return self.transaction

    def add(self, batch: SourceBatch, dead: int) -> None:
        """Notes a part that was appended, ``dead`` letters with it; its positions replace earlier ones."""
        self.positions |= batch.positions
        self.stored |= batch.stored
        self.appends += len(batch.appends)
        self.taken += batch.taken
        self.written += batch.written
        self.filtered += batch.filtered
        self.dead += dead
        self.size_bytes += batch.size_bytes

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit: transforms have left out all of it."""
        return not (self.appends or self.dead or self.stored)
