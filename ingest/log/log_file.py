"""An open segment file: whole writes and positioned reads, shared by a writer and any number of readers.

The descriptor is closed when the last holder lets go of the object, so a reader that is in the middle of a
read never meets a descriptor that a roll or a deletion has closed and the system has given away again.
"""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa

from ingest.disk import Disk


class LogFile:
    """Thread-safe for reads; writes come from one thread at a time. Methods raise ``OSError``."""

    __slots__ = ("fd", "path")

    def __init__(self, fd: int, path: Path) -> None:
        self.fd = fd
        self.path = path

    @classmethod
    def create(cls, path: Path) -> LogFile:
        """A new, empty file; raises ``FileExistsError`` if the name is taken."""
        return cls(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644), path)

    @classmethod
    def open(cls, path: Path, *, writable: bool = False) -> LogFile:
        """An existing file."""
        return cls(os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC), path)

    def __del__(self) -> None:
        if getattr(self, "fd", -1) >= 0:
            os.close(self.fd)

    def inode(self) -> int:
        return os.fstat(self.fd).st_ino

    def size(self) -> int:
        return os.fstat(self.fd).st_size

    def modified_ms(self) -> int:
        return os.fstat(self.fd).st_mtime_ns // 1_000_000

    def set_modified_ms(self, time_ms: int) -> None:
        os.utime(self.fd, ns=(time_ms * 1_000_000, time_ms * 1_000_000))

    def sync(self, disk: Disk) -> None:
        """What was written to the file so far is on disk afterwards."""
        disk.sync(self.fd, self.path)

    def write_at(self, buffer: bytes | bytearray | memoryview, position: int) -> None:
        """All of ``buffer``, or an error with an unknown part of it written."""
        written = os.pwrite(self.fd, buffer, position)
        if written == len(buffer):
            return
        view = memoryview(buffer)
        while written < len(view):
            written += os.pwrite(self.fd, view[written:], position + written)

    def read_bulk(self, size: int, position: int) -> memoryview:
        """As ``read_at``, in memory of Arrow's pool: bulk that is read again and again costs no page faults."""
        target = memoryview(pa.allocate_buffer(size)).cast("B")
        done = 0
        while done < size and (count := os.preadv(self.fd, [target[done:]], position + done)):
            done += count
        return target[:done]

    def read_at(self, size: int, position: int) -> bytes:
        """Up to ``size`` bytes; fewer only at the end of the file."""
        chunk = os.pread(self.fd, size, position)
        if len(chunk) == size or not chunk:
            return chunk
        parts = [chunk]
        done = len(chunk)
        while done < size and (chunk := os.pread(self.fd, size - done, position + done)):
            parts.append(chunk)
            done += len(chunk)
        return parts[0] if len(parts) == 1 else b"".join(parts)
