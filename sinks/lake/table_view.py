"""What one sink's manifests say is in its table, compactions included: the files that a reader is to see.

Compactions are read before commits, so that whatever a compaction has replaced is known when it is looked for.
Two things count only once they can be seen: the newest commit, and the newest compaction. All others were
finished before their successors were put.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa

from ingest.errors import OutputDamaged
from ingest.sinks.lake.ledger import Ledger
from ingest.sinks.lake.manifest import DataFile, Entry
from ingest.sinks.lake.names import compactions_of, hidden_path
from ingest.sinks.lake.store import Store


class LiveFile(NamedTuple):
    """A file that counts, and how the commit that it comes from was partitioned."""

    file: DataFile
    partition_by: tuple[str, ...]


@dataclass(slots=True)
class TableView:
    """``sequence`` and ``compaction`` number the last manifests that are in it; ``commit`` and
    ``commit_sequence`` belong to the last commit; ``whole`` is false if something was left out that is not yet
    visible. ``files`` are by path, in the order in which they came."""

    pipeline: str = ""
    sink: str = ""
    hub_id: str = ""
    sequence: int = 0
    compaction: int = 0
    commit: int = 0
    commit_sequence: int = 0
    vacuumed: int = 0
    partitionings: set[tuple[str, ...]] = field(default_factory=set)
    schemas: Mapping[str, pa.Schema] = field(default_factory=dict)
    files: dict[str, LiveFile] = field(default_factory=dict)
    whole: bool = True

    def add_commit(self, entry: Entry) -> None:
        """Takes in the next manifest of the sink."""
        self.sequence = entry.sequence
        if entry.kind != "commit":
            return
        self.pipeline, self.sink, self.hub_id = entry.pipeline, entry.sink, entry.hub_id
        self.commit, self.commit_sequence = entry.commit, entry.sequence
        self.schemas = entry.schemas
        self.partitionings.add(tuple(entry.partition_by))
        self._replace(entry)

    def add_compaction(self, entry: Entry) -> None:
        """Takes in the next manifest of the compactions."""
        self.compaction = entry.sequence
        self.vacuumed = max(self.vacuumed, entry.vacuumed)
        self._replace(entry)

    def says_the_same(self, other: TableView) -> bool:
        """Whether both tell readers the same, wherever they have it from."""
        return all(getattr(self, name) == getattr(other, name) for name in _TOLD) and {
            path: _facts(live) for path, live in self.files.items()
        } == {path: _facts(live) for path, live in other.files.items()}

    def _replace(self, entry: Entry) -> None:
        for path in entry.retires:
            self.files.pop(path, None)
        for file in entry.files:
            self.files[file.stored.path] = LiveFile(file, tuple(entry.partition_by))


_TOLD = ("pipeline", "sink", "hub_id", "commit", "commit_sequence", "vacuumed", "partitionings", "schemas")


def _facts(live: LiveFile) -> tuple[object, ...]:
    file = live.file
    stored = (file.stored.path, file.stored.size_bytes, file.stored.crc32c)
    place = (file.topic, file.partition, file.first_offset, file.last_offset, file.bucket)
    return (*stored, file.rows, *place, live.partition_by)


def read_on(store: Store, owner: str, view: TableView) -> TableView:
    """``view`` with all that has come since.

    Raises ``OutputDamaged`` if a manifest, or a file of the newest commit, is nowhere.
    """
    compactions = list(Ledger(store, compactions_of(owner)).entries(after=view.compaction))
    commits = list(Ledger(store, owner).entries(after=view.sequence))
    if commits and commits[-1].kind == "commit":
        retired = {path for entry in compactions for path in entry.retires}
        if not _is_visible(store, commits[-1], retired):
            commits.pop()
            view.whole = False
    for entry in commits:
        view.add_commit(entry)
    if compactions and not _is_visible(store, compactions[-1], set()):
        compactions.pop()
        view.whole = False
    for entry in compactions:
        view.add_compaction(entry)
    return view


def _is_visible(store: Store, entry: Entry, retired: set[str]) -> bool:
    """Whether all files of the newest entry can be seen, or could be until they were merged into others."""
    files = [file for file in entry.files if file.stored.path not in retired]
    missing = [file for file in files if not _is_there(store, file.stored.path)]
    gone = [file for file in missing if not _may_come(store, file)]
    if gone and not _all_there(store, gone):
        raise OutputDamaged(
            f"{gone[0].stored.path} was committed and is gone", hint="see what else is wrong with: ingest check"
        )
    return not missing


def _is_there(store: Store, path: str) -> bool:
    return store.size_bytes(path) is not None or store.size_bytes(hidden_path(path)) is not None


def _all_there(store: Store, files: Sequence[DataFile]) -> bool:
    """A second look: between the first one and that for its temporary a file may have been published."""
    return all(_is_there(store, file.stored.path) for file in files)


def _may_come(store: Store, file: DataFile) -> bool:
    """Whether the file is still there to be published."""
    stored = file.stored
    return stored.upload is not None or (bool(stored.temporary) and store.size_bytes(stored.temporary) is not None)
