"""Files that commits have rewritten: hidden, and removed once no reader can be at work on them any more."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from ingest.sinks.lake.ledger import Ledger
from ingest.sinks.lake.manifest import Entry
from ingest.sinks.lake.names import hidden_path
from ingest.sinks.lake.store import Store


class _Hidden(NamedTuple):
    sequence: int
    since_ms: int
    paths: Sequence[str]


class Retired:
    """``removed_up_to`` is the number of the last manifest whose retired files are gone: stored with the next commit,
    so that an opening looks no further back."""

    def __init__(self, store: Store, grace_ms: int) -> None:
        self._store = store
        self._grace_ms = grace_ms
        self._hidden: deque[_Hidden] = deque()
        self.removed_up_to = 0

    def read(self, ledger: Ledger, commit: Entry, now_ms: int) -> None:
        """What is there after ``commit``, the newest. A commit was finished at the latest when the entry after it was
        put."""
        self.removed_up_to = commit.vacuumed
        entries = list(ledger.entries(after=commit.vacuumed))
        for number, entry in enumerate(entries):
            if entry.retires:
                after = entries[number + 1].written_ms if number + 1 < len(entries) else now_ms
                self._hidden.append(_Hidden(entry.sequence, after, entry.retires))

    def add(self, entry: Entry, now_ms: int) -> None:
        """The files that a commit has just hidden."""
        if entry.retires:
            self._hidden.append(_Hidden(entry.sequence, now_ms, entry.retires))

    def wait_ms(self, now_ms: int) -> int | None:
        """How long until something is to be removed; None: nothing is."""
        return max(0, self._hidden[0].since_ms + self._grace_ms - now_ms) if self._hidden else None

    def remove(self, now_ms: int) -> None:
        """Removes what has been hidden for long enough. A crash in between leaves it to be done again."""
        while self.wait_ms(now_ms) == 0:
            oldest = self._hidden[0]
            self._store.remove([hidden_path(path) for path in oldest.paths])
            self._hidden.popleft()
            self.removed_up_to = oldest.sequence
