"""The settings of the source ``sqlite_cdc``."""

from __future__ import annotations

from pydantic import Field, field_validator

from ingest.config import DurationMs
from ingest.database_url import kind_of
from ingest.sources.databases.capture_settings import CaptureSettings
from ingest.sources.databases.url import DatabaseUrl


class SqliteCdcSettings(CaptureSettings):
    """Which database, which of its tables, and how often to look."""

    url: DatabaseUrl = Field(
        description="`sqlite:///file.db`; four slashes for an absolute path, a relative one is the pipeline file's."
    )
    poll: DurationMs = Field(default=100, ge=1, description="How long to wait between two looks for changes.")

    @field_validator("url")
    @classmethod
    def _sqlite(cls, url: str) -> str:
        if kind_of(url) != "sqlite":
            raise ValueError("sqlite_cdc reads SQLite: sqlite:///file.db")
        return url
