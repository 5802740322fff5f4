"""Verifying what compaction did: each file stands for the rows that it replaces, and these are out of sight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ingest.environment import Environment
from ingest.errors import IngestError
from ingest.sinks.lake.finding import Finding
from ingest.sinks.lake.ledger import Ledger
from ingest.sinks.lake.manifest import DataFile, Entry, StoredFile
from ingest.sinks.lake.names import entry_path
from ingest.sinks.lake.replacing import Replacing
from ingest.sinks.lake.store import Store


class CompactionCheck:
    """``live`` are, after ``run``, the files that count, by path; ``unfinished`` those that the last compaction
    has not yet brought out of sight: they may be visible or hidden."""

    def __init__(self, store: Store, ledger: Ledger, commits: Sequence[Entry], *, repair: bool) -> None:
        self._store = store
        self._ledger = ledger
        self._repair = repair
        self._replaced: set[str] = set()
        self.live: dict[str, DataFile] = {file.stored.path: file for entry in commits for file in entry.files}
        for entry in commits:
            self._drop(entry.retires)
        self.unfinished: set[str] = set()

    def run(self, entries: Sequence[Entry]) -> Iterator[Finding]:
        """All that is wrong with the compactions ``entries``."""
        for entry in entries:
            last = entry is entries[-1]
            if last and self._is_unfinished(entry):
                finding = self._finish(entry)
                yield finding
                if not finding.repaired:
                    self.unfinished.update(entry.retires)
                    return
            yield from self._rows(entry)
            self._drop(entry.retires)
            self._replaced.update(entry.retires)
            self.live |= {file.stored.path: file for file in entry.files}
        yield from self._still_visible()

    def _rows(self, entry: Entry) -> Iterator[Finding]:
        place = self._store.describe(entry_path(self._ledger.owner, entry.sequence))
        unknown = [path for path in entry.retires if path not in self.live]
        if unknown:
            yield Finding("error", place, f"it replaces {unknown[0]}, which no manifest lists, or which was replaced")
            return
        before = sum(self.live[path].rows for path in entry.retires)
        after = sum(file.rows for file in entry.files)
        if before != after:
            yield Finding("error", place, f"it puts {after} rows in the place of {before}")

    def _is_unfinished(self, entry: Entry) -> bool:
        visible = any(self._store.size_bytes(path) is not None for path in entry.retires)
        return visible or any(self._store.size_bytes(file.stored.path) is None for file in entry.files)

    def _finish(self, entry: Entry) -> Finding:
        place = self._store.describe(entry_path(self._ledger.owner, entry.sequence))
        problem = "the compaction was cut off, or is at work: globbing readers may miss rows of its folder"
        repair = "finish it: hide the old files, then publish the new one"
        if not self._repair:
            return Finding("error", place, problem, repair)
        try:
            owner = self._ledger.owner.partition("/")[0]
            Replacing(self._store, owner, Environment()).resume()
        except IngestError as error:
            return Finding("error", place, f"{problem}: {error.message}")
        return Finding("error", place, problem, repair, repaired=True)

    def _still_visible(self) -> Iterator[Finding]:
        for path in sorted(self._replaced):
            if self._store.size_bytes(path) is not None:
                if self._repair:
                    self._store.hide(path)
                    self._store.settle_published([StoredFile(path, 0, "")])
                problem = "it was merged into another file, and is there: globbing readers see its rows twice"
                yield Finding("error", self._store.describe(path), problem, "hide it", repaired=self._repair)

    def _drop(self, paths: Sequence[str]) -> None:
        for path in paths:
            self.live.pop(path, None)
