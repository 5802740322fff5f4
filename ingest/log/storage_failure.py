"""What a refusal of the operating system becomes: a ``StorageFailed``, with the path and what to do.

Its class says whether waiting may help: docs/decisions/retries.md.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ingest.errors import StorageDenied, StorageFailed, StorageFull

_FULL = {
    errno.ENOSPC: "make room on this disk; nothing is lost, writing goes on where it stood",
    errno.EDQUOT: "the quota is used up: raise it or make room; nothing is lost, writing goes on where it stood",
}
_DENIED = {
    errno.EFBIG: "the file size limit of this process is reached (ulimit -f)",
    errno.EROFS: "the disk is mounted read-only: see the system's log for the reason, then remount it",
    errno.EACCES: "give this user the right to do that; nothing is lost, writing goes on where it stood",
    errno.EPERM: "give this user the right to do that; nothing is lost, writing goes on where it stood",
    errno.ENOENT: "make the folder above it, if it was removed or a disk is not mounted",
    errno.ENOTDIR: "a part of the path is a file: name another folder",
    errno.EISDIR: "a folder is where a file is to be: name another path",
    errno.ENAMETOOLONG: "a name may have 255 bytes, a path 4096: name a shorter one",
    errno.ELOOP: "symbolic links go in a circle: name another path",
}
_FAILED = {
    errno.EIO: "the disk reports an error: see the system's log and check the disk",
    errno.EMFILE: "too many open files: raise the limit (ulimit -n)",
    errno.ENFILE: "too many open files on this machine",
}


def storage_failed(error: OSError, path: Path, doing: str = "write") -> StorageFailed:
    """The error to raise ``from error``; ``doing`` completes "cannot ..."."""
    where = str(error.filename or path)
    number = error.errno or 0
    kind = StorageFull if number in _FULL else StorageDenied if number in _DENIED else StorageFailed
    return kind(
        f"cannot {doing} {where}: {error.strerror or error}",
        hint=(_FULL | _DENIED | _FAILED).get(number),
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
