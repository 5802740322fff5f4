"""The settings of the Parquet sink."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PlainSerializer, model_validator

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


class ParquetSettings(Settings):
    """Where the files go, how they are cut and written."""

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
    compression: Literal["zstd", "snappy", "gzip", "lz4", "brotli", "none"] = Field(
        default="zstd", description="Codec of the pages."
    )
    compression_level: int | None = Field(default=None, description="Level of the codec; its own default if unset.")
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

    @model_validator(mode="after")
    def _level_of_codec(self) -> Self:
        if self.compression_level is not None:
            check_level(self.compression, self.compression_level)
        return self


def check_level(compression: str, level: int) -> None:
    """Raises ``ValueError`` for a level that the codec does not have."""
    from pyarrow import Codec

    if compression in ("none", "lz4") or not Codec.supports_compression_level(compression):
        raise ValueError(f"compression_level: {compression} has no levels")
    least, most = Codec.minimum_compression_level(compression), Codec.maximum_compression_level(compression)
    if not least <= level <= most:
        raise ValueError(f"compression_level: {compression} has levels {least} to {most}")
