"""The source ``mysql_cdc``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from ingest.config import Settings
from ingest.connectors import SourceConnector, SourceTask
from ingest.sources.mysql_cdc.settings import MysqlCdcSettings


class MysqlCdcSource(SourceConnector):
    """Each change of MariaDB tables, once and in its order, from the server's binlog; before that, the rows that are
    there when it first starts.

    The source reads as a replica does; the server keeps nothing for it: `expire_logs_days` must be longer than it may
    stand still. The topic may hold `{schema}` (the database) and `{table}`. Needs `log_bin`, `binlog_format = ROW` and
    `binlog_row_image = FULL`; with `binlog_row_metadata = FULL` tables may be altered at any time.
    """

    Settings: ClassVar[type[Settings]] = MysqlCdcSettings
    needs_topic = True

    def __init__(self, settings: MysqlCdcSettings) -> None:
        self._settings = settings

    def check(self, base_folder: Path) -> None:
        from ingest.sources.mysql_cdc.server import Server

        server = Server(self._settings.url)
        try:
            server.check(self._settings.server_id)
            server.tables(self._settings)
        finally:
            server.close()

    def tasks(self, most: int) -> Sequence[SourceTask]:
        from ingest.sources.mysql_cdc.task import MysqlCdcTask

        return [MysqlCdcTask(self._settings)]
