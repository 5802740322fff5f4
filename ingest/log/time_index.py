"""Timestamp -> offset: ``.timeindex``, 12 bytes an entry.

    timestamp        int64   the largest timestamp so far in the segment
    relative offset  int32   last offset of the batch that holds it, minus the segment's base offset

Both columns only grow, whatever order the records' own times come in.
"""

from __future__ import annotations

import struct
from pathlib import Path

from ingest.log.sparse_index import SparseIndex

ENTRY = struct.Struct(">qi")


class TimeIndex(SparseIndex):
    """See the module."""

    def __init__(self, path: Path, base_offset: int, *, on_disk: bool) -> None:
        super().__init__(path, ENTRY, on_disk=on_disk)
        self._base_offset = base_offset

    def append(self, timestamp_ms: int, last_offset: int) -> None:
        """Enters a new largest timestamp; one that is not larger changes nothing."""
        last = self.last()
        if last is None or timestamp_ms > last[0]:
            self.add(timestamp_ms, last_offset - self._base_offset)

    def offset_before(self, timestamp_ms: int) -> int:
        """No batch before the one with this offset has a timestamp of ``timestamp_ms`` or later.

        An entry names the first batch that reached its time, so an entry of the very time is the answer itself.
        """
        entry = self.floor(0, timestamp_ms)
        return self._base_offset + (entry[1] if entry else 0)

    def largest(self) -> tuple[int, int]:
        """The largest entered timestamp and its batch's last offset; (-1, base offset) if there is none."""
        last = self.last()
        return (last[0], self._base_offset + last[1]) if last else (-1, self._base_offset)

    def fits(self, next_offset: int) -> bool:
        """False if the file cannot belong to a segment that ends before ``next_offset``."""
        last = self.last()
        whole = self.path.stat().st_size % ENTRY.size == 0
        return whole and (last is None or 0 <= last[1] < next_offset - self._base_offset)
