"""Aborted transactions whose marker is in a segment: ``.txnindex``, 34 bytes an entry.

    version            int16   0
    producer id        int64
    first offset       int64   of the transaction's first batch
    last offset        int64   of its abort marker
    last stable offset int64   after the marker: nothing before it can be aborted any more

In the order of the markers. The file is absent while there is nothing to say.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from ingest.disk import Disk

ENTRY = struct.Struct(">hqqqq")
VERSION = 0


@dataclass(frozen=True, slots=True)
class AbortedTransaction:
    """Offsets ``first_offset``..``last_offset``, both included, of one producer are void."""

    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int


class TransactionIndex:
    """Kept in memory, as aborts are rare, and put on disk when the segment is closed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: list[AbortedTransaction] = []

    @classmethod
    def load(cls, path: Path) -> TransactionIndex | None:
        """What the file holds; None if it is damaged and must be made again from the log."""
        index = cls(path)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return index
        if len(data) % ENTRY.size:
            return None
        for version, *fields in ENTRY.iter_unpack(data):
            if version != VERSION:
                return None
            index.entries.append(AbortedTransaction(*fields))
        return index

    def between(self, start: int, end: int) -> tuple[list[AbortedTransaction], bool]:
        """Those that touch offsets ``start``..``end``, and whether later segments cannot hold more of them."""
        found = []
        for aborted in list(self.entries):
            if aborted.last_offset >= start and aborted.first_offset < end:
                found.append(aborted)
            if aborted.last_stable_offset >= end:
                return found, True
        return found, False

    def write(self, disk: Disk) -> None:
        """Puts the file in the state of the entries. Not synced."""
        if not self.entries:
            self.path.unlink(missing_ok=True)
            return
        data = b"".join(
            ENTRY.pack(VERSION, entry.producer_id, entry.first_offset, entry.last_offset, entry.last_stable_offset)
            for entry in self.entries
        )
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            done = 0
            while done < len(data):
                done += os.pwrite(fd, data[done:], done)
            disk.truncate(fd, self.path, done)
        finally:
            os.close(fd)
