"""Verifying a lake table: every manifest, every file against the manifest that lists it, and what is there besides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ingest.environment import Environment
from ingest.errors import IngestError, UsageError
from ingest.hub.contract import Hub
from ingest.sinks.lake.checking_compactions import CompactionCheck
from ingest.sinks.lake.checking_files import file_findings, unreadable
from ingest.sinks.lake.checking_hub import HubCheck
from ingest.sinks.lake.checking_ledger import checkpoint_findings, gaps, whole_entries
from ingest.sinks.lake.checking_rewrites import key_findings, rewrite_findings
from ingest.sinks.lake.finding import Finding
from ingest.sinks.lake.ledger import Ledger, ledgers
from ingest.sinks.lake.manifest import DataFile, Entry
from ingest.sinks.lake.names import SUFFIX, compactions_of, hidden_path, is_data_of
from ingest.sinks.lake.replacing import was_replaced
from ingest.sinks.lake.store import Store
from ingest.sinks.lake.target import open_store

__all__ = ["Finding", "check_table"]


def check_table(
    url: str,
    base_folder: Path,
    *,
    repair: bool,
    storage_options: Mapping[str, Any] | None = None,
    hub: Hub | None = None,
) -> list[Finding]:
    """All that is wrong; empty if nothing is. Reads every byte of every file, and with ``hub`` every record of its
    commits that is still there. May run beside the sink.

    Raises ``UsageError`` if there is no table.
    """
    store = open_store(url, base_folder, Environment(), storage_options=storage_options, single_writer=True)
    found = ledgers(store)
    present = sorted(store.data_files())
    if not found and not present:
        raise UsageError(f"there is no lake table at {store.describe()}", hint=f"is {url} its folder or URL?")
    findings: list[Finding] = []
    listed: set[str] = set()
    for ledger in found:
        check = _LedgerCheck(store, ledger, hub, repair=repair)
        findings += check.run()
        listed |= check.listed
    return findings + [finding for path in present if path not in listed for finding in _unlisted(store, path, found)]


class _LedgerCheck:
    """One sink's manifests and files. ``listed`` are the paths that any of them names, filled by ``run``."""

    def __init__(self, store: Store, ledger: Ledger, hub: Hub | None, *, repair: bool) -> None:
        self._store = store
        self._ledger = ledger
        self._hub = hub
        self._compactions = Ledger(store, compactions_of(ledger.owner))
        self._repair = repair
        self.listed: set[str] = set()

    def run(self) -> Iterator[Finding]:
        # temporaries first: those that are listed by a commit made meanwhile must not be told as left over
        strays = [*self._store.strays(self._ledger.owner), *self._store.strays(self._compactions.owner)]
        self._temporaries = {stray if isinstance(stray, str) else stray.id for stray in strays}
        # compactions before commits: whatever they replaced is then known
        compactions: list[Entry] = []
        entries: list[Entry] = []
        findings = [*whole_entries(self._store, self._compactions, compactions)]
        findings += whole_entries(self._store, self._ledger, entries)
        commits = [entry for entry in entries if entry.kind == "commit"]
        yield from findings
        yield from gaps(self._store, self._ledger, commits)
        if not findings:
            yield from checkpoint_findings(self._store, self._ledger, entries, compactions, repair=self._repair)
        self.listed = {file.stored.path for entry in (*commits, *compactions) for file in entry.files}
        check = CompactionCheck(self._store, self._compactions, commits, repair=self._repair)
        yield from check.run(compactions)
        yield from rewrite_findings(self._store, self._ledger, commits, repair=self._repair)
        yield from self._files(check, commits)
        if commits and commits[-1].key:
            yield from key_findings(self._store, check.live, commits[-1].key)
        if self._hub is not None:
            yield from HubCheck(self._store, self._ledger, self._hub).run(commits)
        yield from self._strays(strays, [*commits, *compactions])

    def _files(self, check: CompactionCheck, commits: Sequence[Entry]) -> Iterator[Finding]:
        if not commits:
            return
        newest = commits[-1]
        latest = {file.stored.path for file in newest.files}
        for path, file in check.live.items():
            hidden = hidden_path(path)
            if self._store.size_bytes(path) is not None:
                yield from file_findings(self._store, file, path, newest.schemas)
            elif path in check.unfinished and self._store.size_bytes(hidden) is not None:
                yield from file_findings(self._store, file, hidden, newest.schemas)
            # while this check reads, a compaction may be at work, or the sink itself
            elif not (self._was_rewritten(path, newest) or self._was_merged(file, newest)):
                yield self._missing(file, is_last=path in latest)

    def _was_merged(self, file: DataFile, newest: Entry) -> bool:
        return was_replaced(self._store, self._ledger.owner, file, newest.commit)

    def _was_rewritten(self, path: str, newest: Entry) -> bool:
        return any(path in entry.retires for entry in self._ledger.entries(after=newest.sequence))

    def _missing(self, file: DataFile, *, is_last: bool) -> Finding:
        place = self._store.describe(file.stored.path)
        problem = "it was committed, and is not there"
        stored = file.stored
        if not is_last or (stored.upload.id if stored.upload else stored.temporary) not in self._temporaries:
            return Finding("error", place, f"{problem}, nor is its temporary" if is_last else problem)
        repair = "publish it from its temporary"
        if not self._repair:
            return Finding("error", place, problem, repair)
        try:
            self._store.publish(file.stored)
            self._store.settle_published([file.stored])
        except IngestError as error:
            return Finding("error", place, f"{problem}: {error.message}")
        return Finding("error", place, problem, repair, repaired=True)

    def _strays(self, strays: Sequence[Any], entries: Sequence[Entry]) -> Iterator[Finding]:
        expected = {file.stored.temporary for entry in entries for file in entry.files}
        uploads = {file.stored.upload.id for entry in entries for file in entry.files if file.stored.upload}
        for stray in strays:
            listed = stray in expected if isinstance(stray, str) else stray.id in uploads
            if not listed:
                place = self._store.describe(stray if isinstance(stray, str) else stray.key)
                yield Finding(
                    "warning", place, "a temporary of no commit: being written, or left when a run was cut off"
                )


def _unlisted(store: Store, path: str, found: Sequence[Ledger]) -> Iterator[Finding]:
    name = path.rpartition("/")[2]
    owners = [owner for ledger in found for owner in (ledger.owner, compactions_of(ledger.owner))]
    if any(is_data_of(owner, name) for owner in owners):
        problem = "no manifest lists it: who reads by file names sees rows that no commit has"
        yield Finding("error", store.describe(path), problem)
        return
    reason = unreadable(store, path) if path.endswith(SUFFIX) else None
    if reason is not None:
        yield Finding("error", store.describe(path), f"it cannot be read: {reason}")
    elif found:
        yield Finding("warning", store.describe(path), "it is not this table's: no sink of ours has written it")
