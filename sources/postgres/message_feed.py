"""Messages of a stream of CopyData, as many at a time as fit into a buffer, each behind its length."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from typing import Any

import numpy as np

from ingest.sources.postgres.copy_feed import consumed, libpq_functions

try:
    if os.environ.get("INGEST_PURE"):
        raise ImportError("libpq is to be read by psycopg")
    from ingest.sources.postgres._copy_feed import feed_messages
except ImportError:
    feed_messages = None

MORE, LATER, END, BROKEN = 1, 0, -1, -2
"""The memory is full; nothing more came; the stream has ended, or failed; the connection is lost."""
_LINGER_MS = 20

Take = Callable[[np.ndarray, int, int], tuple[int, int, int, bytes]]


def taker(pgconn: Any) -> Take:
    """What takes messages into a memory from a place on, waiting up to some milliseconds for the first, and a little
    for more. It returns one of the above, where the frames end, their count, and a message that found no room."""
    functions = None if feed_messages is None else libpq_functions()

    def by_kernel(memory: np.ndarray, at: int, wait_ms: int) -> tuple[int, int, int, bytes]:
        pointer, socket = pgconn.pgconn_ptr, pgconn.socket
        outcome, at, count, left = feed_messages(pointer, functions, socket, memory, at, wait_ms, _LINGER_MS)
        return outcome, at, count, left or b""

    def one_by_one(memory: np.ndarray, at: int, wait_ms: int) -> tuple[int, int, int, bytes]:
        count = 0
        while True:
            size, message = pgconn.get_copy_data(1)
            if size < 0:
                return size, at, count, b""
            if size == 0:
                patience = _LINGER_MS if at else wait_ms
                if not select.select([pgconn.socket], [], [], patience / 1000)[0]:
                    return LATER, at, count, b""
                if not consumed(pgconn):
                    return BROKEN, at, count, b""
                continue
            if size + 4 > len(memory) - at:
                return MORE, at, count, bytes(message)
            at = put_frame(memory, at, bytes(message))
            count += 1

    return by_kernel if functions else one_by_one


def put_frame(memory: np.ndarray, at: int, message: bytes) -> int:
    """Writes a message behind its length; returns where the next one goes."""
    memory[at : at + 4] = np.frombuffer(np.uint32(len(message)).tobytes(), np.uint8)
    memory[at + 4 : at + 4 + len(message)] = np.frombuffer(message, np.uint8)
    return at + 4 + len(message)
