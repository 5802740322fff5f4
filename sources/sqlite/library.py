"""SQLite's own C interface, of the library that Python's ``sqlite3`` uses, and no other.

A second copy of SQLite in a process would break the first one's locks: POSIX gives up all locks of a process on a file
when it closes the file anywhere. So Python opens the connection, and the library that is reached must be the one that
opened it: it is asked to tell of each connection it opens, and tells of ours or is not used.

``INGEST_PURE=1`` in the environment reads rows without it.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import ctypes.util
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

try:
    if os.environ.get("INGEST_PURE"):
        raise ImportError("INGEST_PURE is set")
    import ingest.sources.sqlite._rows as kernel

    MISSING = ""
except ImportError as error:
    kernel, MISSING = None, str(error)

_OPENING = threading.Lock()


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection and the address of SQLite's own; that is 0 where it cannot be known, for the reason ``missing``."""

    connection: sqlite3.Connection
    handle: int
    missing: str

    def statement(self, query: str, kinds: np.ndarray, size_bytes: int) -> Any:
        """The kernel's ``Statement``; only where there is a handle. Raises ``sqlite3.Error``."""
        return kernel.Statement(self.connection, self.handle, query, kinds, size_bytes)


def opened(connect: Callable[[], sqlite3.Connection]) -> Opened:
    """What ``connect`` opens. Raises what it raises."""
    missing = reached()
    if missing:
        return Opened(connect(), 0, missing)
    with _OPENING:
        connection, handle = kernel.handle_of(connect)
    return Opened(connection, handle, "" if handle else "the SQLite that Python uses cannot be reached")


@cache
def reached() -> str:
    """Binds the kernel to the library; says why not, if it cannot be."""
    if kernel is None:
        return f"the kernel is not there ({MISSING})"
    for library in _libraries():
        if addresses := _addresses(library):
            if not library.sqlite3_threadsafe():
                return "this SQLite is built for one thread"
            kernel.bind(addresses)
            return ""
    return "no library has SQLite's functions"


def _libraries() -> Iterator[ctypes.CDLL]:
    """Where the functions may be: in Python's module or what it is linked to, in Python itself, in a library apart."""
    own = getattr(_sqlite3, "__file__", None)
    for name in (lambda: own, lambda: None, lambda: ctypes.util.find_library("sqlite3")):
        try:
            yield ctypes.CDLL(name())  # the last one is slow to look for: only when it is needed
        except (OSError, TypeError):  # TypeError: Windows knows no library without a name
            continue


def _addresses(library: ctypes.CDLL) -> list[int]:
    """Of the functions that the kernel names, in its order; none if one is missing."""
    try:
        functions = [getattr(library, f"sqlite3_{name}") for name in kernel.NAMES]
        return [ctypes.cast(each, ctypes.c_void_p).value or 0 for each in functions]
    except AttributeError:
        return []
