"""Which files are worth merging. Reads no file; decides by what the manifests say.

Only files of one folder and one partition of a topic are merged, and only neighbours in the order of offsets:
the rows of a merged file stand in the order in which they stood in the log, and no other file's rows lie between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import groupby

from ingest.sinks.lake.manifest import DataFile
from ingest.sinks.lake.names import SUFFIX
from ingest.sinks.lake.table_view import LiveFile, TableView


@dataclass(frozen=True, slots=True)
class Rules:
    """Files smaller than ``below_bytes`` are merged, ``min_files`` of them at least, into files of about
    ``to_bytes``. ``thorough`` merges all that can be; else a file is left alone until its neighbours together are
    as large as it is, so that a row that keeps arriving at a growing file is rewritten a few times, not always."""

    below_bytes: int
    to_bytes: int
    min_files: int = 2
    thorough: bool = True


@dataclass(frozen=True, slots=True)
class Merge:
    """``files`` become one."""

    folder: str
    topic: str
    partition: int
    partition_by: tuple[str, ...]
    files: tuple[DataFile, ...]

    @property
    def size_bytes(self) -> int:
        return sum(file.stored.size_bytes for file in self.files)

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)


def plan(view: TableView, rules: Rules, outdated: AbstractSet[str] = frozenset()) -> list[Merge]:
    """All merges of a table, in order of folders. The files at ``outdated`` are written anew whatever their size.
    Current rows are left alone: their sink merges them with its commits, and knows each file by its keys."""
    ordered = sorted(filter(_is_mergeable, view.files.values()), key=_order)
    merges = []
    for key, lives in groupby(ordered, key=_kind):
        for files in _runs([live.file for live in lives], rules, outdated):
            merges.append(Merge(*key, tuple(files)))
    return merges


def _is_mergeable(live: LiveFile) -> bool:
    return live.file.stored.path.endswith(SUFFIX) and live.file.bucket is None


def _kind(live: LiveFile) -> tuple[str, str, int, tuple[str, ...]]:
    folder = live.file.stored.path.rpartition("/")[0]
    return folder, live.file.topic, live.file.partition, live.partition_by


def _order(live: LiveFile) -> tuple[tuple[str, str, int, tuple[str, ...]], int, int, str]:
    # files of one commit may share an offset (a record of many rows): their names tell which came first
    return _kind(live), live.file.first_offset, live.file.last_offset, live.file.stored.path


def _runs(files: Sequence[DataFile], rules: Rules, outdated: AbstractSet[str]) -> Iterator[list[DataFile]]:
    """Neighbours that become one file each."""
    for small, neighbours in groupby(files, key=lambda file: _is_small(file, rules) or file.stored.path in outdated):
        if small:
            for run in _cut(neighbours, rules.to_bytes):
                run = run if rules.thorough else _grown(run)
                if len(run) >= rules.min_files or any(file.stored.path in outdated for file in run):
                    yield run


def _is_small(file: DataFile, rules: Rules) -> bool:
    return file.stored.size_bytes < rules.below_bytes


def _cut(files: Iterable[DataFile], to_bytes: int) -> Iterator[list[DataFile]]:
    """Runs of about ``to_bytes``: one is closed by the file with which it reaches that."""
    run: list[DataFile] = []
    size = 0
    for file in files:
        run.append(file)
        size += file.stored.size_bytes
        if size >= to_bytes:
            yield run
            run, size = [], 0
    if run:
        yield run


def _grown(run: list[DataFile]) -> list[DataFile]:
    """The run without the large files at its beginning that what follows them is not yet worth rewriting for."""
    rest = sum(file.stored.size_bytes for file in run)
    for number, file in enumerate(run):
        rest -= file.stored.size_bytes
        if file.stored.size_bytes <= rest:
            return run[number:]
    return []
