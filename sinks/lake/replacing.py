"""Replacing files of a table by one that holds the same rows: the manifest first, then the old files out of
sight, then the new one into it. The protocol, step by step, is in docs/formats/manifest.md.

The sink may write meanwhile, in this process or another, and knows nothing of it: compactions count manifests
of their own. Of two compactions one finds its number taken; whoever comes after a crash first finishes what the
last manifest says. Never is a row visible twice.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from ingest.environment import Environment
from ingest.errors import OutputDamaged, SinkFenced
from ingest.sinks.lake.ledger import Ledger
from ingest.sinks.lake.manifest import DataFile, Entry, StoredFile
from ingest.sinks.lake.names import compacted_name, compactions_of, hidden_path
from ingest.sinks.lake.store import Draft, Store
from ingest.sinks.lake.table_view import TableView


class Replacing:
    """The writer of one sink's compactions. ``resume`` comes first; after ``SinkFenced`` it comes again."""

    def __init__(self, store: Store, owner: str, environment: Environment) -> None:
        self._store = store
        self._ledger = Ledger(store, compactions_of(owner))
        self._clock = environment.clock
        self._fail = environment.fail
        self._random = environment.random
        self._sequence = 0
        self._strays: list[Any] = []

    def resume(self) -> None:
        """Finishes the last replacement if a crash, or another process, has left it half done."""
        last = self._ledger.last()
        if last is not None and last.kind == "compact":
            self._finish(last)
        self._sequence = last.sequence if last is not None else 0
        # listed now, removed once a manifest of ours has shut out whoever may still be writing one of them
        self._strays = self._store.strays(self._ledger.owner)

    def draft(self, first: DataFile) -> Draft:
        """The file that will stand for ``first`` and others that follow it."""
        folder, slash, name = first.stored.path.rpartition("/")
        path = f"{folder}{slash}{compacted_name(name, self._sequence + 1)}"
        return self._store.draft(path, f"c{self._random.getrandbits(48):012x}")

    def replace(self, view: TableView, old: Sequence[DataFile], new: DataFile, partition_by: Sequence[str]) -> Entry:
        """On return ``new``, a finished draft, is visible, and ``old`` are hidden; both survive a power cut.

        Raises ``SinkFenced``, and has changed nothing, if another compaction came first.
        """
        self._store.settle([new.stored])
        # the names of the old files may be young: were one of them lost with the power, its sink would publish it
        # again, beside the file that stands for it
        self._store.settle_published([file.stored for file in old])
        self._fail.hit("compact.manifest.before")
        paths = tuple(file.stored.path for file in old)
        entry = self._entry(view, kind="compact", files=(new,), retires=paths, partition_by=tuple(partition_by))
        self._put(entry)
        self._fail.hit("compact.manifest.put")
        self._finish(entry)
        self._remove_strays()
        return entry

    def check_fenced(self) -> None:
        """Raises ``SinkFenced`` if another compaction has come first, and may have hidden files of this one's plan."""
        if self._ledger.has(self._sequence + 1):
            raise SinkFenced(
                f"another compaction is at work at {self._store.describe()}",
                hint="let one of them do it",
            )

    def vacuum(self, view: TableView, grace_ms: int) -> list[str]:
        """Removes what has been hidden for ``grace_ms``, and ends a run: from now on the grace of its last
        replacement is counted. Returns the paths that were removed. To be called after ``resume``."""
        due, vacuumed, closed = self._due(view.vacuumed, grace_ms)
        for path in due:
            self._store.remove([path])
            self._fail.hit("compact.vacuum.file")
        if vacuumed > view.vacuumed or not closed or self._strays:
            # another compaction that came first goes on from what it finds, and does the same in its turn
            with contextlib.suppress(SinkFenced):
                self._put(self._entry(view, kind="vacuum", vacuumed=vacuumed))
                self._fail.hit("compact.vacuumed")
                self._remove_strays()
        return due

    def _due(self, vacuumed: int, grace_ms: int) -> tuple[list[str], int, bool]:
        """Hidden paths whose time has come, the number of the last entry all of whose files are among them, and
        whether an entry follows the last replacement. One is finished at the latest when the next entry is put."""
        now = self._clock.now_ms()
        entries = list(self._ledger.entries(after=vacuumed))
        due: list[str] = []
        for number, entry in enumerate(entries):
            finished = entries[number + 1].written_ms if number + 1 < len(entries) else now
            if entry.kind == "compact":
                if now - finished < grace_ms:
                    break
                due += [hidden_path(path) for path in entry.retires]
                vacuumed = entry.sequence
        return due, vacuumed, not entries or entries[-1].kind == "vacuum"

    def _finish(self, entry: Entry) -> None:
        """To be repeated after a crash. Nothing is to be done where a later entry is: it was put after this one
        was finished, and what this one made may since be hidden in its turn."""
        if self._ledger.has(entry.sequence + 1):
            return
        for path in entry.retires:
            self._store.hide(path)
            self._fail.hit("compact.hide.file")
        self._store.settle_published([StoredFile(path, 0, "") for path in entry.retires])
        self._fail.hit("compact.hidden")
        try:
            for file in entry.files:
                self._store.publish(file.stored)
                self._fail.hit("compact.publish.file")
        except OutputDamaged:
            if self._ledger.has(entry.sequence + 1):
                return
            raise
        self._store.settle_published([file.stored for file in entry.files])
        self._fail.hit("compact.published")

    def _entry(self, view: TableView, **what: Any) -> Entry:
        return Entry(
            sequence=self._sequence + 1,
            writer=f"compaction-{self._random.getrandbits(48):012x}",
            epoch=0,
            pipeline=view.pipeline,
            sink=view.sink,
            hub_id=view.hub_id,
            written_ms=self._clock.now_ms(),
            commit=view.commit,
            commit_sequence=view.commit_sequence,
            **what,
        )

    def _put(self, entry: Entry) -> None:
        self._ledger.put(entry)
        self._sequence = entry.sequence

    def _remove_strays(self) -> None:
        strays, self._strays = self._strays, []
        if strays:
            self._store.remove_strays(strays)
            self._fail.hit("compact.strays.removed")


def was_replaced(store: Store, owner: str, file: DataFile, commit: int) -> bool:
    """Whether a compaction has put another file in the place of this one, of the sink's commit ``commit``. Asked
    by recovery where the file is nowhere to be seen; looks only at compactions that came after that commit."""
    ledger = Ledger(store, compactions_of(owner))
    last = ledger.last()
    while last is not None and last.commit >= commit:
        if file.stored.path in last.retires:
            return True
        last = ledger.entry(last.sequence - 1) if last.sequence > 1 else None
    return False
