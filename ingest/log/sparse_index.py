"""Sorted entries of fixed size: in memory while their segment grows, in a file once it is closed.

An index is derived from its log, so nothing waits for it: an active one is written when its segment is
closed, and made again from the log after a crash. A closed one costs no memory: a look-up is a binary
search with positioned reads.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ingest.disk import Disk

Entry = tuple[int, ...]


class SparseIndex:
    """``layout`` is the entry's bytes. One writer; look-ups from any thread at any time."""

    def __init__(self, path: Path, layout: struct.Struct, *, on_disk: bool) -> None:
        self.path = path
        self._layout = layout
        self._entries: bytearray | None = None if on_disk else bytearray()

    @property
    def size_bytes(self) -> int:
        entries = self._entries
        if entries is not None:
            return len(entries)
        size = os.stat(self.path).st_size
        return size - size % self._layout.size

    def __len__(self) -> int:
        return self.size_bytes // self._layout.size

    def add(self, *entry: int) -> None:
        assert self._entries is not None, "a closed index takes no entries"
        self._entries += self._layout.pack(*entry)

    def floor(self, column: int, target: int) -> Entry | None:
        """The last entry whose ``column`` is at most ``target``; None if all are above."""
        with self._reader() as (count, read):
            low, high = 0, count
            while low < high:
                middle = (low + high) // 2
                if read(middle)[column] <= target:
                    low = middle + 1
                else:
                    high = middle
            return read(low - 1) if low else None

    def last(self) -> Entry | None:
        with self._reader() as (count, read):
            return read(count - 1) if count else None

    def all(self) -> list[Entry]:
        """Every entry; for checks and tests, as it takes memory for all of them."""
        with self._reader() as (count, read):
            return [read(number) for number in range(count)]

    def write(self, disk: Disk) -> None:
        """Puts the entries into the file, whole; they stay in memory until ``release``. Not synced."""
        if self._entries is None:
            return
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            view, done = memoryview(self._entries), 0
            try:
                while done < len(view):
                    done += os.pwrite(fd, view[done:], done)
            finally:
                view.release()
            disk.truncate(fd, self.path, done)
        finally:
            os.close(fd)

    def release(self) -> None:
        """From here on look-ups go to the file that ``write`` made."""
        self._entries = None

    def load(self) -> None:
        """Takes the entries back into memory, to be appended to."""
        if self._entries is None:
            data = self.path.read_bytes()
            self._entries = bytearray(data[: len(data) - len(data) % self._layout.size])

    @contextmanager
    def _reader(self) -> Iterator[tuple[int, Callable[[int], Entry]]]:
        layout, entries = self._layout, self._entries
        if entries is not None:
            yield len(entries) // layout.size, lambda number: layout.unpack_from(entries, number * layout.size)
            return
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            count = os.fstat(fd).st_size // layout.size
            yield count, lambda number: layout.unpack(os.pread(fd, layout.size, number * layout.size))
        finally:
            os.close(fd)
