"""Rows of a COPY, as many at a time as fit into a buffer."""

from __future__ import annotations

import ctypes
import os
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ingest.errors import DecodeFailed, SystemUnavailable
from ingest.formats.copy_rows import SIGNATURE, TRAILER
from ingest.sources.postgres.failures import said

try:
    if os.environ.get("INGEST_PURE"):
        raise ImportError("libpq is to be read by psycopg")
    from ingest.sources.postgres._copy_feed import feed
except ImportError:
    feed = None

_HEADER_BYTES = len(SIGNATURE) + 8
_WAIT_MS = 10
_WOKEN_AT_BYTES = 128 * 1024
_FUNCTIONS = ("PQgetCopyData", "PQconsumeInput", "PQfreemem")
_MORE, _LATER, _END, _BROKEN = 1, 0, -1, -2


@dataclass(frozen=True, slots=True)
class Rows:
    """``count`` rows of a binary COPY that fill ``data``. The memory is not used again."""

    data: np.ndarray
    count: int


def copied_rows(pgconn: Any, size_bytes: int, stopping: Callable[[], bool], url: str) -> Iterator[Rows]:
    """Reads a binary COPY TO STDOUT that ``pgconn`` (a ``psycopg.pq.PGconn``) has begun, to its end.

    Each yield holds about ``size_bytes``, or one row that is larger. ``stopping`` is asked a few times a second while
    nothing comes: once it is true the iteration ends, and the caller cancels the statement. Raises
    ``SystemUnavailable`` if the connection fails, what ``said`` makes of the server's words (with ``url``) if the
    statement does, ``DecodeFailed`` for what is no COPY.
    """
    take = _taker(pgconn)
    header, left = True, b""
    outcome = _MORE
    with _woken_seldom(pgconn.socket):
        while outcome >= 0:
            memory = np.empty(max(size_bytes, len(left)), np.uint8)
            at, rows = len(left), 1 if left else 0
            memory[:at] = np.frombuffer(left, np.uint8)
            left, outcome = b"", _LATER
            while outcome == _LATER:
                outcome, at, more, left = take(memory, at)
                rows += more
                if outcome == _LATER and stopping():
                    return
            start = _after_header(memory[:at]) if header and rows else 0
            header = header and not rows
            end = at
            if outcome == _END and rows and bytes(memory[at - 2 : at]) == TRAILER:
                end, rows = at - 2, rows - 1
            if rows:
                yield Rows(memory[start:end], rows)
    _check_end(pgconn, outcome, url)


@contextmanager
def _woken_seldom(descriptor: int) -> Iterator[None]:
    """The server sends 8 KiB at a time: waiting for more at once spares us most of the switches between the two. What
    is less, and the end, is seen when a wait of ``_WAIT_MS`` is over."""
    if not hasattr(socket, "SO_RCVLOWAT"):
        yield
        return
    with socket.socket(fileno=os.dup(descriptor)) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, _WOKEN_AT_BYTES)
        try:
            yield
        finally:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


def _after_header(memory: np.ndarray) -> int:
    """Where the first row begins; it comes in one message with what stands before it."""
    if bytes(memory[: len(SIGNATURE)]) != SIGNATURE:
        raise DecodeFailed("what PostgreSQL sends is no binary COPY")
    return _HEADER_BYTES + int.from_bytes(bytes(memory[_HEADER_BYTES - 4 : _HEADER_BYTES]), "big")


def _check_end(pgconn: Any, outcome: int, url: str) -> None:
    from psycopg.pq import DiagnosticField, ExecStatus

    if outcome == _BROKEN:
        text = pgconn.error_message.decode("utf-8", "replace").strip()
        raise SystemUnavailable(f"the connection to PostgreSQL broke in the middle of a COPY: {text}")
    while (result := pgconn.get_result()) is not None:
        if result.status == ExecStatus.FATAL_ERROR:
            text = result.error_message.decode("utf-8", "replace").strip()
            raise said(text, (result.error_field(DiagnosticField.SQLSTATE) or b"").decode(), url)


def _taker(pgconn: Any) -> Callable[[np.ndarray, int], tuple[int, int, int, bytes]]:
    functions = None if feed is None else libpq_functions()

    def by_kernel(memory: np.ndarray, at: int) -> tuple[int, int, int, bytes]:
        outcome, at, rows, left = feed(pgconn.pgconn_ptr, functions, pgconn.socket, memory, at, _WAIT_MS)
        return outcome, at, rows, left or b""

    def one_by_one(memory: np.ndarray, at: int) -> tuple[int, int, int, bytes]:
        rows = 0
        while True:
            size, row = pgconn.get_copy_data(1)
            if size < 0:
                return size, at, rows, b""
            if size == 0:
                ready = select.select([pgconn.socket], [], [], _WAIT_MS / 1000)[0]
                if not consumed(pgconn):
                    return _BROKEN, at, rows, b""
                if not ready:
                    return _LATER, at, rows, b""
                continue
            if size > len(memory) - at:
                return _MORE, at, rows, bytes(row)
            memory[at : at + size] = np.frombuffer(row, np.uint8)
            at += size
            rows += 1

    return by_kernel if functions else one_by_one


def consumed(pgconn: Any) -> bool:
    """Reads what has come over the socket; false if the connection is lost."""
    from psycopg import OperationalError

    try:
        pgconn.consume_input()
    except OperationalError:
        return False
    return True


@cache
def libpq_functions() -> tuple[int, ...] | None:
    """The addresses of the functions in the library that psycopg uses, if it can be told which that is."""
    import psycopg.pq

    if psycopg.pq.__impl__ != "binary":
        return None
    import psycopg_binary

    package = Path(psycopg_binary.__file__).parent
    for path in [*package.parent.glob("psycopg_binary.libs/libpq-*"), *package.glob(".dylibs/libpq.*")]:
        library = ctypes.CDLL(str(path))
        return tuple(ctypes.cast(library[name], ctypes.c_void_p).value or 0 for name in _FUNCTIONS)
    return None
