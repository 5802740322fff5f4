"""Opening files as what they were found to be, and keeping the number of open ones bounded."""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Iterable

from ingest.sources.file.content import Content, open_content
from ingest.sources.file.decompress import MAGIC_BYTES, compression_of
from ingest.sources.file.discovery import Found
from ingest.sources.file.stream import Stream


class Vanished(Exception):
    """The name leads to another file now, or to none: the next scan tells more."""


def open_found(found: Found) -> int:
    """A descriptor of exactly the file that was found; raises ``Vanished`` or ``OSError``.

    Never blocks, not even on a pipe that took the file's place.
    """
    try:
        fd = os.open(found.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        raise Vanished from None
    status = os.fstat(fd)
    if (status.st_dev, status.st_ino) != found.key or not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise Vanished
    return fd


def content_of(fd: int, compression: str, final: bool) -> Content | None:
    """Takes over ``fd``. With ``auto`` the first bytes tell; None (``fd`` closed) if they are too few as yet,
    which they are for no ``final`` file."""
    if compression != "auto":
        return open_content(fd, compression)
    first = os.pread(fd, MAGIC_BYTES, 0)
    told = compression_of(first) if first else None
    if told is None and not (first and final):
        os.close(fd)
        return None
    return open_content(fd, told or "none")


def limit_of(wanted: int) -> int:
    """``wanted``, or half of what this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else max(8, min(wanted, soft // 2))


def close_quiet(streams: Iterable[Stream], limit: int) -> None:
    """Closes the longest-quiet files above ``limit``; never one that can only be read through its handle."""
    open_ones = [stream for stream in streams if stream.content is not None and stream.file is not None]
    if len(open_ones) <= limit:
        return
    closable = [stream for stream in open_ones if stream.file and stream.file.left_scan is None]
    closable.sort(key=lambda stream: (not stream.exhausted, stream.file.changed_ms if stream.file else 0))
    for stream in closable[: len(open_ones) - limit]:
        stream.close()
