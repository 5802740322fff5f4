"""The settings of the source ``mysql_cdc``."""

from __future__ import annotations

import zlib

from pydantic import Field, field_validator

from ingest.database_url import kind_of
from ingest.sources.databases.capture_settings import CaptureSettings
from ingest.sources.databases.url import DatabaseUrl


class MysqlCdcSettings(CaptureSettings):
    """Which database, and as which replica the server sees this source."""

    url: DatabaseUrl = Field(
        description="`mysql://user:password@host:3306/database` or `mariadb://...`; a table's name without a database "
        "means this one. The user needs REPLICATION SLAVE, BINLOG MONITOR (MySQL: REPLICATION CLIENT) and SELECT on "
        "the tables; RELOAD for the first snapshot (MariaDB: if several connections read it). Write the password "
        "as `${VAR}`: it is never shown."
    )
    server_id: int | None = Field(
        default=None,
        ge=1,
        le=2**32 - 1,
        description="The number by which the server knows this source, among its replicas: no other may have it. "
        "Without it, one is made of the source's name.",
    )
    splits: int = Field(
        default=2, ge=1, le=64, description="How many connections read the first snapshot at the same time."
    )

    @field_validator("url")
    @classmethod
    def _mysql(cls, url: str) -> str:
        if kind_of(url) != "mysql":
            raise ValueError("mysql_cdc reads MariaDB and MySQL: mysql://user@host/database")
        return url

    def server_id_for(self, source: str) -> int:
        """The number of the source of that name."""
        return self.server_id or 0x40000000 | zlib.crc32(source.encode()) & 0x3FFFFFFF
