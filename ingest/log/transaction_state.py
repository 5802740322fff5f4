"""``__transaction_state``: what is known of each writer, and the commit point of every transaction.

The key is the writer's name; the value is JSON, drawn in ``docs/formats/internal-topics.md``:

    registered   a new epoch: older ones are fenced, what they left open is aborted
    committed    the commit point: partitions, offsets and positions of one transaction
    complete     its markers and positions are on disk
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from ingest.errors import FolderInvalid
from ingest.log.internal_table import Entry
from ingest.log.positions import Position

State = Literal["registered", "committed", "complete"]


@dataclass(frozen=True, slots=True)
class Part:
    """A transaction's records in one partition: offsets ``first``..``end``, which may hold others' too.

    The topic's id and the first offset tell this transaction from any other of the same writer.
    """

    topic: str
    topic_id: str
    partition: int
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class WriterRecord:
    """One record. ``epoch`` is the writer's, and only grows; ``producer_epoch`` is what batches carry: it
    has 16 bits, so a new ``producer_id`` starts it again."""

    name: str
    state: State
    epoch: int
    producer_id: int
    producer_epoch: int
    transaction: int = 0
    parts: Sequence[Part] = ()
    positions: Mapping[str, Mapping[str, Position | None]] = field(default_factory=dict)

    def completed(self) -> WriterRecord:
        """What is left to say once the effects are on disk."""
        return replace(self, state="complete", parts=(), positions={})

    def entry(self) -> Entry:
        """The key and value to append."""
        value = {
            "version": 1,
            "state": self.state,
            "epoch": self.epoch,
            "producer_id": self.producer_id,
            "producer_epoch": self.producer_epoch,
            "transaction": self.transaction,
            "parts": [asdict(part) for part in self.parts],
            "positions": self.positions,
        }
        return self.name.encode("utf-8", "surrogateescape"), json.dumps(value, separators=(",", ":")).encode("ascii")


def parse_entry(key: bytes, value: bytes) -> WriterRecord:
    """Raises ``FolderInvalid`` for a record of a version that is not known here."""
    name = key.decode("utf-8", "surrogateescape")
    try:
        found: dict[str, Any] = json.loads(value)
        if found.pop("version") != 1:
            raise ValueError("a newer version")
        found["parts"] = tuple(Part(**part) for part in found["parts"])
        return WriterRecord(name=name, **found)
    except (ValueError, KeyError, TypeError) as error:
        raise FolderInvalid(
            f"__transaction_state holds a record of {name!r} that is not understood: {error}"
        ) from error
