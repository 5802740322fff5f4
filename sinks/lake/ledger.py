"""The numbered manifests of one writer at one table: a sink, or its compactions. Put-if-absent of the next
number is the commit point, and what fences: of two writers one finds the number taken."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.errors import OutputDamaged, SinkFenced
from ingest.sinks.lake import manifest
from ingest.sinks.lake.manifest import Entry
from ingest.sinks.lake.names import GROUP, LEDGERS, entry_path, entry_sequence, ledger_folder
from ingest.sinks.lake.store import Store


class Ledger:
    """Entries are never changed and never removed."""

    def __init__(self, store: Store, owner: str) -> None:
        self._store = store
        self.owner = owner

    def last(self) -> Entry | None:
        """The newest entry, durable; None if there is none."""
        self._store.settle_folder(ledger_folder(self.owner))
        for group in reversed(self._store.names(ledger_folder(self.owner))):
            if not group.isdigit():
                continue
            folder = f"{ledger_folder(self.owner)}/{group}"
            sequences = self._sequences(folder)
            if sequences:
                # another process may have died between making the name and making it durable
                self._store.settle_folder(folder)
                return self.entry(max(sequences))
        return None

    def entry(self, sequence: int) -> Entry:
        """Raises ``OutputDamaged`` if it is missing or not whole."""
        path = entry_path(self.owner, sequence)
        content = self._store.read(path)
        if content is None:
            raise OutputDamaged(
                f"the manifest {self._store.describe(path)} is missing, and later ones are there",
                hint="restore it from a copy; see: ingest check",
                path=self._store.describe(path),
            )
        return manifest.decode(content, self._store.describe(path))

    def last_commit(self, last: Entry | None) -> Entry | None:
        """The newest commit, given the newest entry."""
        if last is None or last.kind == "commit":
            return last
        return self.entry(last.commit_sequence) if last.commit_sequence else None

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """All entries in order, or those with a number above ``after``."""
        for sequence in self.sequences(after):
            yield self.entry(sequence)

    def sequences(self, after: int = 0) -> Iterator[int]:
        """The numbers that are there above ``after``, in order."""
        for group in self._store.names(ledger_folder(self.owner)):
            if group.isdigit() and int(group) >= after // GROUP:
                found = self._sequences(f"{ledger_folder(self.owner)}/{group}")
                yield from sorted(sequence for sequence in found if sequence > after)

    def has(self, sequence: int) -> bool:
        """Whether that number is taken."""
        return self._store.size_bytes(entry_path(self.owner, sequence)) is not None

    def put(self, entry: Entry) -> None:
        """Durable on return. Raises ``SinkFenced`` if another writer has put that number.

        An answer that was lost, so that our own entry is found to be there, is a success.
        """
        path = entry_path(self.owner, entry.sequence)
        content = manifest.encode(entry)
        if self._store.put_if_absent(path, content, entry.writer):
            return
        found = self._store.read(path)
        if found == content:
            return
        raise SinkFenced(
            f"another writer has put {self._store.describe(path)}",
            hint="another process does the same work here; it goes on, and this one stops",
            path=self._store.describe(path),
        )

    def _sequences(self, folder: str) -> list[int]:
        found = (entry_sequence(name) for name in self._store.names(folder))
        return [sequence for sequence in found if sequence is not None]


def ledgers(store: Store) -> list[Ledger]:
    """Those of all sinks that ever wrote to this table."""
    return [Ledger(store, name) for name in store.names(LEDGERS) if "~" in name and not name.startswith(".")]
