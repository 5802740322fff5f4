"""Verifying a lake table: every file against the manifest that lists it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import crc32c
import pyarrow as pa
import pyarrow.parquet as pq

from ingest.connectors import TopicPartition
from ingest.environment import Environment
from ingest.errors import IngestError, OutputDamaged, UsageError
from ingest.sinks.lake.ledger import Ledger, ledgers
from ingest.sinks.lake.manifest import DataFile, Entry
from ingest.sinks.lake.names import entry_path, is_data_of
from ingest.sinks.lake.store import Store
from ingest.sinks.lake.target import open_store

_READ_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """``repair`` says what ``--repair`` does about it (None: nothing), ``repaired`` that it was done."""

    severity: Literal["error", "warning"]
    place: str
    problem: str
    repair: str | None = None
    repaired: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def check_table(
    url: str, base_folder: Path, *, repair: bool, storage_options: Mapping[str, Any] | None = None
) -> list[Finding]:
    """All that is wrong; empty if nothing is. Reads every byte of every file. May run beside the sink.

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
        check = _LedgerCheck(store, ledger, repair=repair)
        findings += check.run()
        listed |= check.listed
    return findings + [finding for path in present if path not in listed for finding in _unlisted(store, path, found)]


class _LedgerCheck:
    """One sink's manifests and files. ``listed`` are the paths of its commits, filled by ``run``."""

    def __init__(self, store: Store, ledger: Ledger, *, repair: bool) -> None:
        self._store = store
        self._ledger = ledger
        self._repair = repair
        self.listed: set[str] = set()

    def run(self) -> Iterator[Finding]:
        # temporaries first: those that are listed by a commit made meanwhile must not be told as left over
        strays = self._store.strays(self._ledger.owner)
        commits: list[Entry] = []
        yield from self._entries(commits)
        yield from _gaps(self._store, self._ledger, commits)
        retired = {path for entry in commits for path in entry.retires}
        for entry in commits:
            for file in entry.files:
                self.listed.add(file.stored.path)
                if file.stored.path not in retired:
                    yield from self._file(file, is_last=entry is commits[-1])
        expected = {file.stored.temporary for entry in commits for file in entry.files}
        for stray in strays:
            if stray not in expected:
                place = self._store.describe(stray if isinstance(stray, str) else stray.key)
                yield Finding(
                    "warning", place, "a temporary of no commit: being written, or left when a run was cut off"
                )

    def _entries(self, commits: list[Entry]) -> Iterator[Finding]:
        expected = 1
        for sequence in self._ledger.sequences():
            for missing in range(expected, sequence):
                place = self._store.describe(entry_path(self._ledger.owner, missing))
                yield Finding("error", place, "the manifest is missing")
            expected = sequence + 1
            try:
                entry = self._ledger.entry(sequence)
            except OutputDamaged as error:
                yield Finding("error", self._store.describe(entry_path(self._ledger.owner, sequence)), error.message)
                continue
            if entry.kind == "commit":
                commits.append(entry)

    def _file(self, file: DataFile, *, is_last: bool) -> Iterator[Finding]:
        place = self._store.describe(file.stored.path)
        size = self._store.size_bytes(file.stored.path)
        if size is None:
            yield self._missing(file, place, is_last=is_last)
            return
        if size != file.stored.size_bytes:
            yield Finding("error", place, f"it has {size} bytes, and its manifest says {file.stored.size_bytes}")
        elif _crc32c(self._store, file.stored.path) != file.stored.crc32c:
            yield Finding("error", place, "its bytes have changed: the checksum is not that of its manifest")
        elif (rows := _rows(self._store, file.stored.path)) != file.rows:
            yield Finding("error", place, f"it has {rows} rows, and its manifest says {file.rows}")

    def _missing(self, file: DataFile, place: str, *, is_last: bool) -> Finding:
        problem = "it was committed, and is not there"
        if not is_last:
            return Finding("error", place, problem)
        repair = "publish it from its temporary"
        if not self._repair:
            return Finding("error", place, problem, repair)
        try:
            self._store.publish(file.stored)
            self._store.settle_published([file.stored])
        except IngestError as error:
            return Finding("error", place, f"{problem}: {error.message}")
        return Finding("error", place, problem, repair, repaired=True)


def _gaps(store: Store, ledger: Ledger, commits: list[Entry]) -> Iterator[Finding]:
    """Commits count from 1 without a gap, and their offsets go on where those before them ended."""
    reached: dict[TopicPartition, int] = {}
    for number, entry in enumerate(commits, 1):
        place = store.describe(entry_path(ledger.owner, entry.sequence))
        if entry.commit != number:
            yield Finding("error", place, f"it is commit {entry.commit}, and should be commit {number}")
            return
        for part in entry.ranges:
            key = TopicPartition(part.topic, part.partition)
            start = reached.get(key, part.start)
            if part.start != start:
                severity: Literal["error", "warning"] = "error" if part.start < start else "warning"
                what = f"{part.topic}-{part.partition} goes on at offset {part.start}, and was at {start}"
                yield Finding(severity, place, what)
            reached[key] = part.end


def _unlisted(store: Store, path: str, found: list[Ledger]) -> Iterator[Finding]:
    name = path.rpartition("/")[2]
    if any(is_data_of(ledger.owner, name) for ledger in found):
        problem = "no manifest lists it: who reads by file names sees rows that no commit has"
        yield Finding("error", store.describe(path), problem)
        return
    try:
        _rows(store, path)
    except (pa.ArrowException, OSError) as error:
        yield Finding("error", store.describe(path), f"it cannot be read: {error}")
        return
    if found:
        yield Finding("warning", store.describe(path), "it is not this table's: no sink of ours has written it")


def _crc32c(store: Store, path: str) -> str:
    filesystem, root = store.filesystem()
    crc = 0
    with filesystem.open_input_stream(f"{root}/{path}") as stream:
        while piece := stream.read(_READ_BYTES):
            crc = crc32c.crc32c(piece, crc)
    return f"{crc:08x}"


def _rows(store: Store, path: str) -> int:
    filesystem, root = store.filesystem()
    return int(pq.read_metadata(f"{root}/{path}", filesystem=filesystem).num_rows)
