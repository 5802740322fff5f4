"""``.kafka_cleanshutdown``: the mark of a folder that was closed in order, as Apache Kafka makes it.

It is taken away, durably, before the first byte is written after opening: its presence means that
everything in the folder is whole.
"""

from __future__ import annotations

from pathlib import Path

from ingest.disk import Disk
from ingest.log.atomic_file import replace_file
from ingest.log.storage_failure import storage

NAME = ".kafka_cleanshutdown"


def mark_clean(disk: Disk, folder: Path) -> None:
    """The last thing before the lock is released."""
    replace_file(disk, folder / NAME, b'{"version":0,"brokerEpoch":-1}')


def take_mark(disk: Disk, folder: Path) -> bool:
    """Whether the folder was closed in order; the mark is gone on return."""
    path = folder / NAME
    with storage(path, "remove"):
        if not path.exists():
            return False
        disk.unlink(path)
        disk.sync_folder(folder)
    return True
