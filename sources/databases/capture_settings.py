"""The settings that all sources of changes share."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from ingest.config import DurationMs, Settings
from ingest.sources.databases.changes import Envelope


class CaptureSettings(Settings):
    """Which tables, whether their rows come first, and the form in which their changes travel."""

    tables: list[str] = Field(
        min_length=1,
        description="Tables by name, `orders` or `sales.orders`; patterns such as `sales.*` too, which take up tables "
        "that are made later.",
    )
    exclude: list[str] = Field(default_factory=list, description="Names and patterns of those that are left out.")
    snapshot: Literal["initial", "never", "only"] = Field(
        default="initial",
        description="`initial`: the rows that are there when the source first starts, then every change since; "
        "`never`: changes only; `only`: rows only. Between rows and changes nothing is missing, nothing comes twice.",
    )
    envelope: Envelope = Field(
        default="debezium",
        description="`debezium`: `before`, `after`, `source`, `op` (`c`, `u`, `d`, `r`, `t`), `ts_ms`; `flat`: the row "
        "itself, with `__op`, `__deleted`, `__source` and `__ts_ms`.",
    )
    tombstones: bool = Field(
        default=True,
        description="Whether a delete is followed by a record with its key and no value: for compaction by key.",
    )
    heartbeat: DurationMs | None = Field(
        default=None,
        ge=100,
        description="How often to write a record to `heartbeat_topic`, whether there are changes or not: for those who "
        "watch that the source is alive. The place in the log moves on without it, too.",
    )
    heartbeat_topic: str | None = Field(
        default=None, min_length=1, description="By default `heartbeat.` and the source's name."
    )

    @model_validator(mode="after")
    def _heartbeat_needs_interval(self) -> Self:
        if self.heartbeat_topic is not None and self.heartbeat is None:
            raise ValueError("heartbeat_topic needs heartbeat, the interval")
        return self
