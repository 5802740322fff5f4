"""Events of a binlog as the server sends them to a replica, as many at a time as fit into a buffer."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from ingest.database_url import masked
from ingest.errors import ConnectorError, PositionLost, SystemUnavailable
from ingest.sources.mysql.failures import failure
from ingest.sources.mysql.packet_socket import PacketSocket
from ingest.sources.mysql.result_rows import packets
from ingest.sources.mysql.result_rows_twin import END, ERROR, FULL, MORE
from ingest.sources.mysql.session import connected, run
from ingest.sources.mysql_cdc.place import Place
from ingest.sources.mysql_cdc.row_images import headers
from ingest.sources.mysql_cdc.server import GONE, denied

_REGISTER, _DUMP = 0x15, 0x12
_MOST_EVENTS = 65_536
_HEARTBEAT_NS = 5_000_000_000
_READING_FAILED = 1236
_FIRST_EVENT = 4
"""Where the events of a file begin."""
_LARGEST_POSITION = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Events:
    """``heads`` has a row for each: time, type, server, position behind it, flags, table, digest (see ``headers``).
    Events lie in ``data`` from ``starts`` to ``ends``, without their checksums; ``sizes`` are those in the log."""

    data: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    heads: np.ndarray
    sizes: np.ndarray

    def size(self, number: int) -> int:
        """Of an event, in the log."""
        return int(self.sizes[number])


class BinlogStream:
    """Connects at once; used by one thread. Raises ``ConnectorError``, ``PositionLost``."""

    def __init__(self, url: str, place: Place, server_id: int, size_bytes: int) -> None:
        import pymysql

        self._url = url
        self._size = size_bytes
        self._connection = connected(url)
        self._memory = np.empty(size_bytes, np.uint8)
        self._at = self._filled = 0
        try:
            self._begin(place, server_id)
        except pymysql.Error as error:
            self._connection.close()
            raise denied(error, url) from None

    def read(self, timeout_ms: int) -> Events | None:
        """The next events, in whose order nothing is missing; None if none came in time."""
        if self._filled == self._at and not self._feed.ready(timeout_ms):
            return None
        starts, lengths = np.empty(_MOST_EVENTS, np.int64), np.empty(_MOST_EVENTS, np.int64)
        count = 0
        while True:
            found = packets(self._memory, self._at, self._filled, starts[count:], lengths[count:])
            outcome, rows, self._at, need = found
            count += rows
            if outcome != MORE or not self._more(need, timeout_ms, waits=not count):
                break
        memory = self._memory
        if outcome in (END, ERROR) and not count:
            self._ended(outcome)
        if outcome in (MORE, FULL):
            self._turn_over(need)
        return self._events(memory, starts[:count] + 1, lengths[:count] - 1) if count else None

    @property
    def thread(self) -> int:
        """The server's number of this connection."""
        return int(self._connection.thread_id())

    def close(self) -> None:
        """Ends the connection; a server that has nothing to send may notice seconds later."""
        self._connection._force_close()

    def _begin(self, place: Place, server_id: int) -> None:
        if place.position > _LARGEST_POSITION:
            raise ConnectorError(f"{place.file}:{place.position} cannot be asked for: positions have 32 bits")
        ((checksum,),) = run(self._connection, "SELECT @@global.binlog_checksum")
        self._checksum = 4 if str(checksum).upper() == "CRC32" else 0
        run(self._connection, "SET @master_binlog_checksum = @@global.binlog_checksum")
        run(self._connection, "SET @source_binlog_checksum = @@global.binlog_checksum")
        run(self._connection, "SET @mariadb_slave_capability = 4")
        run(self._connection, f"SET @master_heartbeat_period = {_HEARTBEAT_NS}")
        run(self._connection, f"SET @source_heartbeat_period = {_HEARTBEAT_NS}")
        self._feed = PacketSocket(self._connection)
        self._connection._execute_command(_REGISTER, struct.pack("<I3xHII", server_id, 0, 0, 0))
        self._connection._read_packet()
        dump = struct.pack("<IHI", max(place.position, _FIRST_EVENT), 0, server_id) + place.file.encode()
        self._connection._execute_command(_DUMP, dump)

    def _more(self, need: int, timeout_ms: int, *, waits: bool) -> bool:
        """Takes what is there; False if nothing is, or the memory is too small for the rest of the event."""
        if self._filled == len(self._memory) or self._at + need > len(self._memory):
            return False
        if not self._feed.ready(timeout_ms if waits else 0):
            return False
        try:
            taken = self._feed.take(self._memory[self._filled :])
        except OSError as error:
            raise failure(error, self._url) from None
        if not taken:
            raise SystemUnavailable(f"MariaDB at {masked(self._url)} closed the connection")
        self._filled += taken
        return True

    def _turn_over(self, need: int) -> None:
        left = self._memory[self._at : self._filled]
        self._memory = np.empty(max(self._size, need, len(left) + 4), np.uint8)
        self._memory[: len(left)] = left
        self._at, self._filled = 0, len(left)

    def _events(self, memory: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> Events:
        heads = np.zeros((len(starts), 7), np.int64)
        damaged = headers(memory, starts, lengths, heads, self._checksum)
        if damaged >= 0:
            end = int(heads[damaged - 1, 3]) if damaged else 0
            raise ConnectorError(
                f"the event behind position {end} of the binlog is damaged, or not of this length",
                hint="mariadb-binlog --verify-binlog-checksum shows whether the server's file is",
            )
        return Events(memory, starts, starts + lengths - self._checksum, heads, lengths)

    def _ended(self, outcome: int) -> None:
        import pymysql
        from pymysql.err import raise_mysql_exception

        if outcome == END:
            raise SystemUnavailable(f"MariaDB at {masked(self._url)} ended the stream")
        try:
            raise_mysql_exception(self._memory[self._at + 4 : self._filled].tobytes())
        except pymysql.Error as error:
            if error.args[0] == _READING_FAILED:
                raise self._unreadable(str(error.args[1])) from None
            raise denied(error, self._url) from None

    def _unreadable(self, said: str) -> ConnectorError:
        if "same server" in said:
            return ConnectorError(
                f"another replica has this source's server_id: {said}", hint="choose another server_id"
            )
        return PositionLost(
            f"the server cannot go on where this source stands: {said}",
            hint=GONE,
        )
