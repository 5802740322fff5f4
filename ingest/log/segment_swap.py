"""How a compacted segment takes the place of those that it was made from, so that a crash at any step loses nothing.

    1  <base>.log.cleaned and its indexes are written and synced
    2  the indexes are renamed to .swap, then the log: that name is the commit point
    3  the covered segments, all but the one of the same name, are removed
    4  the log is renamed over the old one, then its indexes over theirs

Names are synced after each step. Opening undoes what has not reached the commit point, and does the rest again
for what has. In step 4 the log goes first: a reader takes a position from an index before it opens the log, and
sees by the log's inode that the position may mean nothing; once the log has gone there is no ``.log.swap`` any
more, and an index that is still a ``.swap`` shows how far it came.
"""

from __future__ import annotations

import os
from pathlib import Path

from ingest.disk import Disk
from ingest.failpoints import FailPoints
from ingest.log import batch_walk
from ingest.log.log_file import LogFile
from ingest.log.segment_names import CLEANED, INDEXES, LOG, SNAPSHOT, SWAP, file_path, offsets_of


def commit_swap(folder: Path, base_offset: int, disk: Disk, fail: FailPoints) -> None:
    """Step 2. Raises ``OSError``."""
    for kind in (*INDEXES, LOG):
        cleaned = file_path(folder, base_offset, kind + CLEANED)
        if cleaned.exists():
            disk.replace(cleaned, file_path(folder, base_offset, kind + SWAP))
            fail.hit("log.compact.renamed")
    disk.sync_folder(folder)
    fail.hit("log.compact.swap")


def undo_swap(folder: Path, base_offset: int, disk: Disk) -> None:
    """Takes back a step 2 that has failed. Raises ``OSError``; may be tried again, and must be before more is written.

    The log goes last: an index left alone would be taken for that of the log which was to be replaced.
    """
    for suffix in (CLEANED, SWAP):
        for kind in INDEXES:
            unlink_if_there(disk, file_path(folder, base_offset, kind + suffix))
    disk.sync_folder(folder)
    for suffix in (CLEANED, SWAP):
        unlink_if_there(disk, file_path(folder, base_offset, LOG + suffix))
    disk.sync_folder(folder)


def finish_swap(folder: Path, base_offset: int, disk: Disk, fail: FailPoints) -> None:
    """Steps 3 and 4, from wherever they were left. Raises ``OSError``."""
    swap = file_path(folder, base_offset, LOG + SWAP)
    if swap.exists():
        for covered in covered_segments(folder, base_offset):
            for kind in (*INDEXES, LOG, SNAPSHOT):
                unlink_if_there(disk, file_path(folder, covered, kind))
        for kind in INDEXES:
            if not file_path(folder, base_offset, kind + SWAP).exists():
                unlink_if_there(disk, file_path(folder, base_offset, kind))
        fail.hit("log.compact.removed")
        disk.sync_folder(folder)
        disk.replace(swap, file_path(folder, base_offset, LOG))
        fail.hit("log.compact.replaced")
    for kind in INDEXES:
        index = file_path(folder, base_offset, kind + SWAP)
        if index.exists():
            disk.replace(index, file_path(folder, base_offset, kind))
    disk.sync_folder(folder)


def covered_segments(folder: Path, base_offset: int) -> list[int]:
    """Base offsets of the segments behind the first whose records are in the swap file, newest first."""
    file = LogFile.open(file_path(folder, base_offset, LOG + SWAP))
    last_offset = base_offset
    for step in batch_walk.steps(file, 0, file.size()):
        last_offset = step.last_offset
    return [base for base in reversed(offsets_of(folder, LOG)) if base_offset < base <= last_offset]


def tidy_swaps(folder: Path, disk: Disk, fail: FailPoints) -> list[str]:
    """At opening: undoes or finishes every swap that was under way; returns what was done, in words."""
    done = []
    for base_offset in _bases(folder, CLEANED):
        log = file_path(folder, base_offset, LOG + CLEANED)
        for kind in INDEXES:
            unlink_if_there(disk, file_path(folder, base_offset, kind + CLEANED))
            if log.exists():  # the commit point was not reached, so a .swap beside it is void
                unlink_if_there(disk, file_path(folder, base_offset, kind + SWAP))
        # As long as the log is there, the others are known for void: it goes last.
        disk.sync_folder(folder)
        unlink_if_there(disk, log)
        fail.hit("log.compact.undone")
        disk.sync_folder(folder)
        done.append(f"removed the unfinished compaction of segment {base_offset}")
    for base_offset in _bases(folder, SWAP):
        finish_swap(folder, base_offset, disk, fail)
        done.append(f"finished the compaction of segment {base_offset}")
    return done


def _bases(folder: Path, suffix: str) -> list[int]:
    return sorted({int(name[:20]) for name in os.listdir(folder) if name.endswith(suffix)})


def unlink_if_there(disk: Disk, path: Path) -> None:
    try:
        disk.unlink(path)
    except FileNotFoundError:
        return
