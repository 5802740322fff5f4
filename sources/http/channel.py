"""Messages between the source's task and the process of its server, over one pair of sockets.

    message size (4 bytes) · data size (8) · message (pickled) · data, sizes big-endian

Both ends are one program. What clients send travels as data, never inside a pickle that somebody else made.
"""

from __future__ import annotations

import pickle
import selectors
import socket
import struct
from collections.abc import Iterator
from typing import Any

_SIZES = struct.Struct(">IQ")
_ROOM = 256 * 1024


def packed(message: Any, data_bytes: int = 0) -> bytes:
    """Everything but the data, which must follow."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return _SIZES.pack(len(body), data_bytes) + body


class Channel:
    """The task's end: it blocks. Used by one thread."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._selector = selectors.DefaultSelector()
        self._selector.register(connection, selectors.EVENT_READ)
        self._read = memoryview(bytearray(_ROOM))
        self._start = self._stop = 0

    def send(self, message: Any) -> None:
        """Raises ``OSError`` if nobody is there any more."""
        self._connection.sendall(packed(message))

    def receive(self, timeout_ms: int) -> tuple[Any, bytearray] | None:
        """The next message and its data; None if none has begun to come in within the time.

        Raises ``EOFError`` if none will come, or half of one has.
        """
        if self._start == self._stop and not self._refill(timeout_ms):
            return None
        message_bytes, data_bytes = _SIZES.unpack(self._exactly(_SIZES.size))
        return pickle.loads(self._exactly(message_bytes)), self._exactly(data_bytes)

    def has_more(self) -> bool:
        """Whether ``receive`` would not wait."""
        return self._start < self._stop or bool(self._selector.select(0))

    def close(self) -> None:
        self._selector.close()
        self._connection.close()

    def _refill(self, timeout_ms: int) -> bool:
        if not self._selector.select(timeout_ms / 1000):
            return False
        self._start, self._stop = 0, self._received(self._read)
        return True

    def _exactly(self, count: int) -> bytearray:
        found = bytearray(count)
        have = min(count, self._stop - self._start)
        found[:have] = self._read[self._start : self._start + have]
        self._start += have
        with memoryview(found) as rest:
            while have < count:
                have += self._received(rest[have:])
        return found

    def _received(self, room: memoryview) -> int:
        try:
            count = self._connection.recv_into(room)
        except ConnectionResetError:
            count = 0
        if not count:
            raise EOFError("the other end is closed")
        return count


class Messages:
    """The server's end: messages without data, out of the bytes as they come."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, received: bytes) -> Iterator[Any]:
        """Those that are whole now."""
        buffer = self._buffer
        buffer += received
        while len(buffer) >= _SIZES.size:
            end = _SIZES.size + _SIZES.unpack_from(buffer)[0]
            if len(buffer) < end:
                return
            message = pickle.loads(memoryview(buffer)[_SIZES.size : end].tobytes())
            del buffer[:end]
            yield message
