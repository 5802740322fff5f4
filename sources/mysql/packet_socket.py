"""Bytes from the server's socket: a few for PyMySQL, large pieces for our kernels."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable
from typing import Any

import numpy as np

_WAIT_MS = 200
_AHEAD_BYTES = 16 * 1024
_RECEIVE_BYTES = 4 * 1024 * 1024


class Stopped(Exception):
    """Nobody waits for the bytes any more. A signal, no error."""


class PacketSocket:
    """Stands where PyMySQL keeps the file of its socket, so that both read the same bytes. One thread at a time."""

    def __init__(self, connection: Any) -> None:
        self._socket: socket.socket = connection._sock
        connection._rfile.close()
        connection._rfile = self
        self._ahead = b""
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)

    def read(self, count: int) -> bytes:
        """For PyMySQL: waits for as many bytes; fewer only at the end."""
        while len(self._ahead) < count:
            more = self._socket.recv(max(count - len(self._ahead), _AHEAD_BYTES))
            if not more:
                break
            self._ahead += more
        found, self._ahead = self._ahead[:count], self._ahead[count:]
        return found

    def close(self) -> None:
        """For PyMySQL, which closes the socket itself."""

    def wait(self, stopping: Callable[[], bool]) -> None:
        """Until there is something to read; raises ``Stopped``."""
        while not self.ready(_WAIT_MS):
            if stopping():
                raise Stopped

    def ready(self, timeout_ms: int) -> bool:
        """Whether something can be read, now or within the time."""
        if self._ahead or (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
            return True
        return bool(self._poll.poll(timeout_ms))

    def take(self, memory: np.ndarray) -> int:
        """Fills ``memory`` with what is there, at least a byte; 0 if the server has closed the connection."""
        if self._ahead:
            count = min(len(self._ahead), len(memory))
            memory[:count] = np.frombuffer(self._ahead[:count], np.uint8)
            self._ahead = self._ahead[count:]
            return count
        return self._socket.recv_into(memory.data)
