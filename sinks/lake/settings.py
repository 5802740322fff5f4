"""The settings that sinks of files share: where the table is, how it is cut into files, what it may take."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainSerializer

from ingest.config import ByteSize, DurationMs, Settings
from ingest.sinks.lake.partition_by import parse_all


def _partition_by(value: list[str]) -> list[str]:
    parse_all(value)
    return value


Hidden = Annotated[
    dict[str, Any],
    PlainSerializer(lambda value: dict.fromkeys(value, "**********"), return_type=dict[str, str]),
]


class RollSettings(Settings):
    """When what is pending becomes a commit: whichever comes first."""

    rows: int = Field(default=1_000_000, ge=1, description="Rows in a file, about.")
    bytes: ByteSize = Field(default=128 * 1024 * 1024, ge=1, description="Bytes in a file as written, about.")
    interval: DurationMs = Field(
        default=300_000, ge=1, description="Wall time since the oldest row (or position) that is not committed."
    )


class LakeSettings(Settings):
    """Where the files go and how they are cut."""

    url: str = Field(
        min_length=1,
        description="A folder (relative to the pipeline file), or an fsspec URL such as `s3://bucket/lake/access`.",
    )
    partition_by: Annotated[list[str], AfterValidator(_partition_by)] = Field(
        default_factory=list,
        description="Folders by value: columns, or `year|month|day|hour(column)`; `... as name` names the folder. "
        "`timestamp`, `topic` and `partition` of the record can be used where the value has no such column.",
        examples=[["day(timestamp)", "status"]],
    )
    roll: RollSettings = Field(default_factory=RollSettings, description="When a commit is made.")
    memory: ByteSize = Field(
        default=64 * 1024 * 1024,
        ge=1024 * 1024,
        description="Rows held before they are written, over all open files. More makes larger row groups.",
    )
    storage_options: Hidden = Field(
        default_factory=dict,
        repr=False,
        description="Passed to the fsspec file system: `key`, `secret`, `endpoint_url`, ... Never printed.",
    )
    single_writer: bool = Field(
        default=False,
        description="Say that no other process ever writes to this table. Needed where the store cannot tell two "
        "writers apart (no hard link, no put-if-absent).",
    )
