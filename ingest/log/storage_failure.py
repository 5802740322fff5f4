"""What a refusal of the operating system becomes: ``StorageFailed``, with the path and what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ingest.errors import StorageFailed

_HINTS = {
    errno.ENOSPC: "make room on this disk; writing resumes by itself",
    errno.EDQUOT: "the quota is used up: raise it or make room; writing resumes by itself",
    errno.EFBIG: "the file size limit of this process is reached (ulimit -f)",
    errno.EROFS: "the disk is mounted read-only: see the system's log for the reason, then remount it",
    errno.EACCES: "give this user the right to write here; writing resumes by itself",
    errno.EPERM: "give this user the right to write here; writing resumes by itself",
    errno.EIO: "the disk reports an error: see the system's log and check the disk",
    errno.EMFILE: "too many open files: raise the limit (ulimit -n)",
    errno.ENFILE: "too many open files on this machine",
}


def storage_failed(error: OSError, path: Path, doing: str = "write") -> StorageFailed:
    """The error to raise ``from error``; ``doing`` completes "cannot ..."."""
    where = str(error.filename or path)
    return StorageFailed(
        f"cannot {doing} {where}: {error.strerror or error}",
        hint=_HINTS.get(error.errno or 0),
        path=where,
        errno=error.errno,
    )


@contextmanager
def storage(path: Path, doing: str = "write") -> Iterator[None]:
    """Turns an ``OSError`` of the block into ``StorageFailed``; its path is the failed call's, if it has one."""
    try:
        yield
    except OSError as error:
        raise storage_failed(error, path, doing) from error
