"""The names of a partition's files: ``<base offset, 20 digits><suffix>``, as Kafka names them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

LOG = ".log"
OFFSET_INDEX = ".index"
TIME_INDEX = ".timeindex"
TRANSACTION_INDEX = ".txnindex"
SNAPSHOT = ".snapshot"
# A segment is its log; these can be made again from it.
INDEXES = (OFFSET_INDEX, TIME_INDEX, TRANSACTION_INDEX)

CLEANED = ".cleaned"  # being written by compaction: never valid after a crash
SWAP = ".swap"  # compaction's finished output: takes the place of what it covers
DELETED = ".deleted"  # on its way out
TEMPORARY = ".tmp"  # a checkpoint being written

_NAME = re.compile(r"^(\d{20})(\.[a-z]+)$")


def file_path(folder: Path, offset: int, suffix: str) -> Path:
    """``00000000000000000042.log`` for 42 and ``.log``; a suffix may be followed by ``.cleaned`` or ``.swap``."""
    return folder / f"{offset:020d}{suffix}"


def files_of(folder: Path) -> Iterator[tuple[int, str]]:
    """Offset and suffix of each file that bears an offset and one plain suffix, in no order."""
    for name in os.listdir(folder):
        match = _NAME.match(name)
        if match:
            yield int(match[1]), match[2]


def offsets_of(folder: Path, suffix: str) -> list[int]:
    """The offsets for which a file with exactly this suffix is there, ascending."""
    return sorted(offset for offset, found in files_of(folder) if found == suffix)
