"""Offset -> position in the log file: ``.index``, 8 bytes an entry.

    relative offset  int32   last offset of a batch, minus the segment's base offset
    position         int32   where that batch begins in the ``.log``

Sparse: a batch is entered when more than ``index.interval.bytes`` were written since the last entry.
"""

from __future__ import annotations

import struct
from pathlib import Path

from ingest.log.sparse_index import SparseIndex

ENTRY = struct.Struct(">ii")


class OffsetIndex(SparseIndex):
    """See the module. Positions are hints to start a forward search from; the log is the truth."""

    def __init__(self, path: Path, base_offset: int, *, on_disk: bool) -> None:
        super().__init__(path, ENTRY, on_disk=on_disk)
        self._base_offset = base_offset

    def append(self, last_offset: int, position: int) -> None:
        self.add(last_offset - self._base_offset, position)

    def position_before(self, offset: int) -> int:
        """The start of a batch that begins at or before the one that holds ``offset``."""
        entry = self.floor(0, min(offset - self._base_offset, 2**31 - 1))
        return entry[1] if entry else 0

    def boundary_before(self, position: int) -> int:
        """The start of the last entered batch at or before ``position``."""
        entry = self.floor(1, position)
        return entry[1] if entry else 0

    def fits(self, log_bytes: int) -> bool:
        """False if the file cannot belong to a log of this size, or was cut in the middle of an entry."""
        last = self.last()
        whole = self.path.stat().st_size % ENTRY.size == 0
        return whole and (last is None or (0 <= last[1] < log_bytes and last[0] >= 0))
