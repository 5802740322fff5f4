"""``_ingest_positions``: where each owner's streams stand, as of the last committed transaction.

One record per owner and stream: key ``["owner","stream"]``, value ``{"transaction": n, "position": {…}}``,
null when the stream is forgotten. ``transaction`` counts decided transactions of the whole hub. The records
are written in that order, so the log always holds the effects of a prefix of the decisions: opening the hub
repeats what comes after the highest number found here.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from ingest.errors import TransactionInvalid
from ingest.log.internal_table import Entry, entries_of
from ingest.log.readable import ReadableLog

Position = Mapping[str, Any]
Changes = Mapping[str, Mapping[str, Position | None]]
"""By owner and stream; None forgets the stream."""


class PositionTable:
    """The committed positions in memory. Thread-safe."""

    def __init__(self) -> None:
        self._owners: dict[str, dict[str, Position]] = {}
        self._lock = threading.Lock()
        self.applied = 0
        """The highest transaction whose positions were found in the log."""

    @classmethod
    def load(cls, log: ReadableLog) -> PositionTable:
        """What ``_ingest_positions`` holds."""
        table = cls()
        for key, value in entries_of(log):
            owner, stream = json.loads(key)
            entry = None if value is None else json.loads(value)
            table.apply({owner: {stream: entry and entry["position"]}})
            if entry:
                table.applied = max(table.applied, entry["transaction"])
        return table

    def apply(self, changes: Changes) -> None:
        """Takes over the positions of a decided transaction."""
        with self._lock:
            for owner, streams in changes.items():
                known = self._owners.setdefault(owner, {})
                for stream, position in streams.items():
                    if position is None:
                        known.pop(stream, None)
                    else:
                        known[stream] = position
                if not known:
                    del self._owners[owner]

    def of(self, owner: str) -> Mapping[str, Position]:
        """A copy; empty for an unknown owner."""
        with self._lock:
            return dict(self._owners.get(owner, {}))

    def owners(self) -> Sequence[str]:
        with self._lock:
            return sorted(self._owners)


def entries_for(changes: Changes, transaction: int) -> list[Entry]:
    """The records that tell ``changes``."""
    return [
        (_text([owner, stream]), None if at is None else _text({"transaction": transaction, "position": at}))
        for owner, streams in changes.items()
        for stream, at in streams.items()
    ]


def copy_of(owner: str, streams: Mapping[str, Position | None]) -> dict[str, Position | None]:
    """A deep copy by way of JSON. Raises ``TransactionInvalid`` for what JSON does not know."""
    try:
        copied: dict[str, Position | None] = json.loads(json.dumps(dict(streams), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise TransactionInvalid(f"positions of {owner!r} are not JSON: {error}", owner=owner) from error
    return copied


def _text(value: object) -> bytes:
    # ASCII escapes keep what is no valid Unicode (file names) apart from what is.
    return json.dumps(value, separators=(",", ":")).encode("ascii")
