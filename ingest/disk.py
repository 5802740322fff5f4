"""The file operations on which durability stands, passed in so that tests can pull the plug.

Only what decides whether bytes and names survive a power cut goes through here: sync, rename, link,
unlink, truncate and the sync of folders. A test's disk keeps a journal of them and, after the
"power cut", drops whatever the journal does not prove to be on disk.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol


class Disk(Protocol):
    """Durable file operations. Thread-safe. Every method raises ``OSError`` as the system call does."""

    def sync(self, fd: int, path: Path) -> None:
        """After it returns, all bytes written to ``fd`` so far survive a power cut."""
        ...

    def sync_folder(self, path: Path) -> None:
        """After it returns, the names in folder ``path`` survive a power cut."""
        ...

    def replace(self, source: Path, target: Path) -> None:
        """Renames over ``target`` if it is there. Durable only after ``sync_folder``."""
        ...

    def link(self, source: Path, target: Path) -> None:
        """Hard link; raises ``FileExistsError`` if ``target`` is there: put-if-absent."""
        ...

    def unlink(self, path: Path) -> None:
        """Removes a name. Durable only after ``sync_folder``."""
        ...

    def truncate(self, fd: int, path: Path, size_bytes: int) -> None:
        """Cuts the open file to ``size_bytes``. Durable only after ``sync``."""
        ...


class SystemDisk:
    """The operating system's own calls. ``sync`` is ``fdatasync``."""

    def sync(self, fd: int, path: Path) -> None:
        os.fdatasync(fd)

    def sync_folder(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def replace(self, source: Path, target: Path) -> None:
        os.replace(source, target)

    def link(self, source: Path, target: Path) -> None:
        os.link(source, target)

    def unlink(self, path: Path) -> None:
        os.unlink(path)

    def truncate(self, fd: int, path: Path, size_bytes: int) -> None:
        os.ftruncate(fd, size_bytes)
