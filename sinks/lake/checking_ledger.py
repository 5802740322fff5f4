"""Verifying manifests among themselves: none is missing or damaged, and offsets go on where they ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from ingest.connectors import TopicPartition
from ingest.errors import OutputDamaged
from ingest.sinks.lake.checkpoint import newest_checkpoint, remove_checkpoints
from ingest.sinks.lake.finding import Finding
from ingest.sinks.lake.ledger import Ledger
from ingest.sinks.lake.manifest import Entry
from ingest.sinks.lake.names import checkpoint_folder, entry_path
from ingest.sinks.lake.store import Store
from ingest.sinks.lake.table_view import TableView


def whole_entries(store: Store, ledger: Ledger, entries: list[Entry]) -> Iterator[Finding]:
    """Fills ``entries`` with all that can be read; tells of the others."""
    expected = 1
    for sequence in ledger.sequences():
        for missing in range(expected, sequence):
            yield Finding("error", store.describe(entry_path(ledger.owner, missing)), "the manifest is missing")
        expected = sequence + 1
        try:
            entries.append(ledger.entry(sequence))
        except OutputDamaged as error:
            yield Finding("error", store.describe(entry_path(ledger.owner, sequence)), error.message)


def gaps(store: Store, ledger: Ledger, commits: Sequence[Entry]) -> Iterator[Finding]:
    """Commits count from 1 without a gap, their offsets go on where those before them ended, and their files hold
    offsets of their ranges."""
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
        yield from _outside(place, entry)


def _outside(place: str, entry: Entry) -> Iterator[Finding]:
    ranges = {(part.topic, part.partition): part for part in entry.ranges}
    for file in entry.files:
        if file.bucket is not None:
            continue
        part = ranges.get((file.topic, file.partition))
        if part is None or not part.start <= file.first_offset <= file.last_offset < part.end:
            offsets = f"{file.topic}-{file.partition} {file.first_offset}..{file.last_offset}"
            yield Finding("error", place, f"its file {file.stored.path} has offsets {offsets}, which it does not cover")


def checkpoint_findings(
    store: Store, ledger: Ledger, entries: Sequence[Entry], compactions: Sequence[Entry], *, repair: bool
) -> Iterator[Finding]:
    """A checkpoint says what the manifests say that it sums up. To be asked only if all of these can be read."""
    checkpoint = newest_checkpoint(store, ledger.owner)
    if checkpoint is None:
        return
    view = TableView()
    for entry in entries:
        if entry.sequence <= checkpoint.sequence:
            view.add_commit(entry)
    for entry in compactions:
        if entry.sequence <= checkpoint.compaction:
            view.add_compaction(entry)
    if not checkpoint.says_the_same(view):
        if repair:
            remove_checkpoints(store, ledger.owner)
        place = store.describe(checkpoint_folder(ledger.owner))
        problem = "the newest checkpoint does not say what its manifests say"
        yield Finding("error", place, problem, "remove the checkpoints: they are made again", repaired=repair)
