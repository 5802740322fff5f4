"""The settings of the source ``postgres_cdc``."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from ingest.database_url import kind_of
from ingest.sources.databases.capture_settings import CaptureSettings
from ingest.sources.databases.url import DatabaseUrl

_SLOT = re.compile(r"[a-z0-9_]{1,63}")


class PostgresCdcSettings(CaptureSettings):
    """Which database, and what the server keeps for this source."""

    url: DatabaseUrl = Field(
        description="`postgresql://user:password@host:5432/database`. The user needs REPLICATION and SELECT on the "
        "tables. Write the password as `${VAR}`: it is never shown."
    )
    slot: str | None = Field(
        default=None,
        description="The replication slot, made if the source starts for the first time: small letters, digits and _. "
        "Without it, `ingest_` and the source's name. The server keeps its log for the slot until it is dropped.",
    )
    publication: str | None = Field(
        default=None,
        description="The publication, made if it is not there (its owner must own the tables); by default named as the "
        "slot. Tables that it lacks are added.",
    )
    splits: int = Field(
        default=2, ge=1, le=64, description="How many connections read the first snapshot at the same time."
    )
    transaction_topic: str | None = Field(
        default=None,
        min_length=1,
        description="A topic for a record at the BEGIN and the END of each transaction; each change then tells its "
        "transaction and its number in it.",
    )
    signals: str | None = Field(
        default=None,
        min_length=1,
        description="A table `(id, type, data)` by whose rows tables are read again, or for the first time, beside the "
        "stream: `('1', 'execute-snapshot', '{\"data-collections\": [\"public.orders\"]}')`. As Debezium has it.",
    )
    chunk_rows: int = Field(
        default=10_000, ge=1, le=1_000_000, description="Rows that are read at once beside the stream, at most."
    )

    @field_validator("url")
    @classmethod
    def _postgresql(cls, url: str) -> str:
        if kind_of(url) != "postgresql":
            raise ValueError("postgres_cdc reads PostgreSQL: postgresql://user@host/database")
        return url

    @field_validator("slot")
    @classmethod
    def _slot_name(cls, slot: str | None) -> str | None:
        if slot is not None and not _SLOT.fullmatch(slot):
            raise ValueError("the name of a slot has small letters, digits and _, at most 63")
        return slot

    @property
    def signal_table(self) -> str | None:
        """With its schema."""
        return self.signals if self.signals is None or "." in self.signals else f"public.{self.signals}"

    def slot_for(self, source: str) -> str:
        """The slot of the source of that name."""
        return self.slot or ("ingest_" + re.sub(r"[^a-z0-9_]", "_", source.lower()))[:63]

    def publication_for(self, source: str) -> str:
        """The publication of the source of that name."""
        return self.publication or self.slot_for(source)
