"""A prepared statement and the packets of its rows, as many at a time as fit into a buffer."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ingest.errors import SystemUnavailable
from ingest.sources.mysql.packet_socket import PacketSocket
from ingest.sources.mysql.result_rows import packets
from ingest.sources.mysql.result_rows_twin import END, ERROR, MORE
from ingest.sources.mysql.types import Definition

_PREPARE, _EXECUTE, _CLOSE = 0x16, 0x17, 0x19
_MOST_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that lie in ``data``. The memory is not used again."""

    data: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray


class Statement:
    """Of one connection, which does nothing else until the rows are read. Raises PyMySQL's errors."""

    def __init__(self, connection: Any, feed: PacketSocket, query: str) -> None:
        self._connection = connection
        self._feed = feed
        connection._execute_command(_PREPARE, query)
        answer = connection._read_packet()._data
        self._number, columns, parameters = struct.unpack_from("<IHH", answer, 1)
        self._definitions(parameters)
        self.columns: Sequence[Definition] = self._definitions(columns)

    def rows(self, size_bytes: int, stopping: Callable[[], bool]) -> Iterator[Rows]:
        """Runs it; each yield holds about ``size_bytes``, or one row that is larger. Raises ``Stopped``."""
        self._connection._execute_command(_EXECUTE, struct.pack("<IBI", self._number, 0, 1))
        self._feed.wait(stopping)
        self._connection._read_packet()
        self._definitions(len(self.columns))
        yield from _Packets(self._feed, size_bytes, stopping).read()

    def close(self) -> None:
        """To be called when all rows are read."""
        self._connection._execute_command(_CLOSE, struct.pack("<I", self._number))

    def _definitions(self, count: int) -> list[Definition]:
        from pymysql.protocol import FieldDescriptorPacket

        found = []
        for _ in range(count):
            packet = self._connection._read_packet(FieldDescriptorPacket)
            numbers = (packet.type_code, packet.charsetnr, packet.length, packet.flags, packet.scale)
            found.append(Definition(packet.name, *numbers))
        if count:
            self._connection._read_packet()
        return found


class _Packets:
    """The rows of one result on their way from the socket."""

    def __init__(self, feed: PacketSocket, size_bytes: int, stopping: Callable[[], bool]) -> None:
        self._feed = feed
        self._size = size_bytes
        self._stopping = stopping
        self._memory = np.empty(size_bytes, np.uint8)
        self._at = self._filled = 0

    def read(self) -> Iterator[Rows]:
        while True:
            outcome, found = self._part()
            if len(found.starts):
                yield found
            if outcome == ERROR:
                self._raise()
            if outcome == END:
                return

    def _part(self) -> tuple[int, Rows]:
        """Rows until the memory or the list of them is full, or the result ends."""
        starts, lengths = np.empty(_MOST_ROWS, np.int64), np.empty(_MOST_ROWS, np.int64)
        count = 0
        while True:
            found = packets(self._memory, self._at, self._filled, starts[count:], lengths[count:])
            outcome, rows, self._at, need = found
            count += rows
            if outcome != MORE or not self._more(need):
                break
        rows_found = Rows(self._memory, starts[:count], lengths[:count])
        if outcome not in (END, ERROR):
            self._turn_over(need)
        return outcome, rows_found

    def _more(self, need: int) -> bool:
        """Takes what is there; False if the memory is too small for the rest of the row."""
        if self._filled == len(self._memory) or self._at + need > len(self._memory):
            return False
        self._feed.wait(self._stopping)
        taken = self._feed.take(self._memory[self._filled :])
        if not taken:
            raise SystemUnavailable("MariaDB closed the connection in the middle of a result")
        self._filled += taken
        return True

    def _turn_over(self, need: int) -> None:
        left = self._memory[self._at : self._filled]
        self._memory = np.empty(max(self._size, need, len(left) + 4), np.uint8)
        self._memory[: len(left)] = left
        self._at, self._filled = 0, len(left)

    def _raise(self) -> None:
        from pymysql.err import raise_mysql_exception

        raise_mysql_exception(self._memory[self._at + 4 : self._filled].tobytes())
