"""The lock file: one process owns a data folder for writing, and says who it is."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

from ingest.clock import Clock
from ingest.errors import FolderLocked
from ingest.log.storage_failure import storage

NAME = ".lock"
_RETRY_MS = 50


class FolderLock:
    """Held from ``take`` to ``release``, or until the process ends in whatever way.

    The lock is the kernel's (``flock``); the file's text only says who holds it, and is no proof.
    """

    def __init__(self, fd: int) -> None:
        self._fd: int | None = fd

    @classmethod
    def take(cls, folder: Path, clock: Clock, *, wait_ms: int = 0) -> FolderLock:
        """Waits up to ``wait_ms``, then raises ``FolderLocked`` with pid, program and start of the holder."""
        path = folder / NAME
        with storage(path, "write"):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        deadline_ms = clock.monotonic_ms() + wait_ms
        never = threading.Event()
        while not _try_lock(fd):
            if clock.monotonic_ms() >= deadline_ms:
                os.close(fd)
                raise _locked(folder)
            clock.wait(never, _RETRY_MS)
        _say_who(fd, clock.now_ms())
        return cls(fd)

    def release(self) -> None:
        """Gives the folder up. Idempotent."""
        if self._fd is not None:
            with contextlib.suppress(OSError):  # a disk that refuses must not keep the lock
                os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None

    def drop(self) -> None:
        """Gives the folder up as the end of the process would: the file's text stays."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def holder(folder: Path) -> dict[str, object] | None:
    """Who wrote the lock file last: ``pid``, ``program``, ``since``; None if nobody is named."""
    try:
        found = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _say_who(fd: int, now_ms: int) -> None:
    since = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="seconds")
    program = " ".join([Path(sys.argv[0] or sys.executable).name, *sys.argv[1:2]])
    text = json.dumps({"pid": os.getpid(), "program": program, "since": since}) + "\n"
    with contextlib.suppress(OSError):  # a full disk: the lock holds without the words
        os.ftruncate(fd, 0)
        os.pwrite(fd, text.encode(), 0)


def _locked(folder: Path) -> FolderLocked:
    who = holder(folder) or {}
    by = f"process {who['pid']} ({who.get('program')}, since {who.get('since')})" if who else "another process"
    return FolderLocked(
        f"the data folder {folder} is in use by {by}",
        hint="stop that process, or wait for it with --wait; commands that only read need no lock",
        path=str(folder),
        **who,
    )
