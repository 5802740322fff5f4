"""What a crash in the middle of a roll, a deletion or a compaction leaves behind, tidied at opening.

.tmp .cleaned .deleted     never became, or no longer are, part of the log: removed
.log.swap                  compaction's commit point: it takes the place of the segments that it covers
.index .timeindex .txnindex without a .log     removed
.snapshot                  of no segment, but for the newest: removed; after the log's end: removed
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ingest.disk import Disk
from ingest.log import batch_walk
from ingest.log.log_file import LogFile
from ingest.log.segment_names import (
    CLEANED,
    DELETED,
    INDEXES,
    LOG,
    SNAPSHOT,
    SWAP,
    TEMPORARY,
    file_path,
    files_of,
    offsets_of,
)

Report = Callable[[str], None]


def clear_leftovers(folder: Path, disk: Disk, report: Report) -> None:
    """Finishes or undoes what was under way. Idempotent; durable on return if anything was done."""
    names = sorted(os.listdir(folder))
    doomed = [name for name in names if name.endswith((TEMPORARY, CLEANED, DELETED))]
    for name in doomed:
        disk.unlink(folder / name)
        report(f"removed {name}, left over from an interrupted operation")
    swaps = [int(name[:20]) for name in names if name.endswith(LOG + SWAP)]
    for base_offset in swaps:
        finish_swap(folder, base_offset, disk)
        report(f"finished the compaction of segment {base_offset}")
    strays = [name for name in names if name.endswith(SWAP) and int(name[:20]) not in swaps]
    logs = set(offsets_of(folder, LOG))
    strays += [file_path(folder, o, kind).name for o, kind in files_of(folder) if kind in INDEXES and o not in logs]
    for name in strays:
        disk.unlink(folder / name)
        report(f"removed {name}, which belongs to no segment")
    if doomed or swaps or strays:
        disk.sync_folder(folder)


def finish_swap(folder: Path, base_offset: int, disk: Disk) -> None:
    """Replaces the segments that ``<base offset>.log.swap`` covers by it. The log's own rename comes last."""
    for covered in covered_segments(folder, base_offset):
        for kind in (*INDEXES, LOG):
            _unlink_if_there(disk, file_path(folder, covered, kind))
    for kind in (*INDEXES, LOG):
        swap = file_path(folder, base_offset, kind + SWAP)
        if swap.exists():
            disk.replace(swap, file_path(folder, base_offset, kind))
        elif kind != LOG:
            _unlink_if_there(disk, file_path(folder, base_offset, kind))


def covered_segments(folder: Path, base_offset: int) -> list[int]:
    """Base offsets of the segments behind the first whose records are in the swap file, newest first."""
    file = LogFile.open(file_path(folder, base_offset, LOG + SWAP))
    last_offset = base_offset
    for step in batch_walk.steps(file, 0, file.size()):
        last_offset = step.last_offset
    return [base for base in reversed(offsets_of(folder, LOG)) if base_offset < base <= last_offset]


def clear_snapshots(folder: Path, bases: set[int], log_end: int, disk: Disk) -> None:
    """Keeps the snapshots at the start of segments and the newest one; one beyond the end is of a lost tail."""
    offsets = offsets_of(folder, SNAPSHOT)
    newest = max((offset for offset in offsets if offset <= log_end), default=-1)
    for offset in offsets:
        if offset not in bases and offset != newest:
            _unlink_if_there(disk, file_path(folder, offset, SNAPSHOT))


def _unlink_if_there(disk: Disk, path: Path) -> None:
    try:
        disk.unlink(path)
    except FileNotFoundError:
        return
