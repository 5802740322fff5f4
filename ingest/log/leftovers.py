"""What a crash in the middle of a roll, a deletion or a compaction leaves behind, tidied at opening.

.tmp .cleaned .deleted     never became, or no longer are, part of the log: removed
.log.swap                  compaction's commit point: it takes the place of the segments that it covers
.index .timeindex .txnindex without a .log     removed
.snapshot                  of no segment, but for the newest: removed; after the log's end: removed
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ingest.disk import Disk
from ingest.environment import Environment
from ingest.log.segment_names import DELETED, INDEXES, LOG, SNAPSHOT, TEMPORARY, file_path, files_of, offsets_of
from ingest.log.segment_swap import tidy_swaps, unlink_if_there

Report = Callable[[str], None]


def clear_leftovers(folder: Path, env: Environment, report: Report) -> None:
    """Finishes or undoes what was under way. Idempotent; durable on return if anything was done."""
    disk = env.disk
    for what in tidy_swaps(folder, disk, env.fail):
        report(what)
    logs = set(offsets_of(folder, LOG))
    strays = [path.name for path in folder.iterdir() if path.name.endswith((TEMPORARY, DELETED))]
    strays += [file_path(folder, o, kind).name for o, kind in files_of(folder) if kind in INDEXES and o not in logs]
    for name in sorted(strays):
        disk.unlink(folder / name)
        report(f"removed {name}, left over from an interrupted operation")
    if strays:
        disk.sync_folder(folder)


def clear_snapshots(folder: Path, bases: set[int], log_end: int, disk: Disk) -> None:
    """Keeps the snapshots at the start of segments and the newest one; one beyond the end is of a lost tail."""
    offsets = offsets_of(folder, SNAPSHOT)
    newest = max((offset for offset in offsets if offset <= log_end), default=-1)
    for offset in offsets:
        if offset not in bases and offset != newest:
            unlink_if_there(disk, file_path(folder, offset, SNAPSHOT))
