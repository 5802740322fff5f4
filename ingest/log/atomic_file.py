"""A small file that is replaced as a whole: after a crash it holds the old content or the new one."""

from __future__ import annotations

import os
from pathlib import Path

from ingest.disk import Disk
from ingest.log.storage_failure import storage


def replace_file(disk: Disk, path: Path, content: bytes, *, durable: bool = True) -> None:
    """Writes ``content`` beside ``path``, then renames over it.

    With ``durable`` both bytes and name are on disk on return. Without it nothing is synced: the file
    is for other processes to read, and whoever opens it after a power cut must not trust it blindly.
    Raises ``StorageFailed``; the old content then stands.
    """
    beside = path.with_name(f"{path.name}.tmp")
    with storage(path, "write"):
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            _write_all(fd, content)
            if durable:
                disk.sync(fd, beside)
        finally:
            os.close(fd)
        disk.replace(beside, path)
        if durable:
            disk.sync_folder(path.parent)


def _write_all(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
