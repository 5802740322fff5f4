"""File systems that are full soon."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from needs import needs

_BLOCK = bytes(1 << 16)


@contextmanager
def small_disk(size: str, *, owner: str | None = None) -> Iterator[Path]:
    """A new file system of this size, which ``owner`` may write to; skips the test where none can be mounted."""
    folder = Path(tempfile.mkdtemp(prefix="ingest-disk-"))
    folder.chmod(0o755)
    disk = folder / "small"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    mounted = os.geteuid() == 0 and not subprocess.run(mounting, check=False, capture_output=True).returncode
    try:
        needs(mounted, "the right to mount a small tmpfs")
        if owner:
            shutil.chown(disk, owner)
        yield disk
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(disk)], check=True)
        shutil.rmtree(folder, ignore_errors=True)


def fill(disk: Path) -> Path:
    """Nothing has room any more until the file that is returned is deleted."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        size = len(_BLOCK)
        while size:
            try:
                file.write(_BLOCK[:size])
            except OSError:
                size //= 2
    return filler
