"""The rows that are there when a source first starts, and the place in the log where their changes begin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from ingest.errors import ConnectorError
from ingest.sources.mysql.session import run
from ingest.sources.mysql.table_reader import MysqlReader
from ingest.sources.mysql_cdc.place import Place
from ingest.sources.mysql_cdc.server import Server


class SnapshotReader(MysqlReader):
    """After ``tables``, ``place`` is the moment of the snapshot in the log."""

    _invisible: ClassVar[bool] = True

    def __init__(self, url: str, server: Server, readers: int, part_bytes: int, report: Callable[[str], None]) -> None:
        super().__init__(url, server.database, readers, part_bytes, report)
        self._server = server
        self.place: Place | None = None

    def _wants_lock(self) -> bool:
        return super()._wants_lock() or not self._server.is_mariadb

    def _noted(self, connection: Any, locked: bool) -> None:
        """MariaDB knows where in the log a snapshot was taken, lock or not; MySQL only stands still under the lock."""
        if self._server.is_mariadb:
            status = dict(run(connection, "SHOW STATUS LIKE 'binlog_snapshot_%'"))
            place = Place(str(status["Binlog_snapshot_file"]), int(status["Binlog_snapshot_position"]))
            self.place = Place(place.file, place.position, 0, self._server.gtid_at(place))
        elif locked:
            self.place = self._server.end()
        else:
            raise ConnectorError(
                "MySQL tells a snapshot's place in its log only under FLUSH TABLES WITH READ LOCK: it was not given",
                hint="grant it: GRANT RELOAD ON *.* TO ...;",
            )
