"""The settings of the Parquet sink."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from ingest.sinks.lake.settings import LakeSettings
from ingest.sinks.parquet.compaction.settings import CompactSettings
from ingest.sinks.parquet.current.settings import MergeSettings


class ParquetSettings(LakeSettings):
    """Where the files go, how they are cut and written."""

    compression: Literal["zstd", "snappy", "gzip", "lz4", "brotli", "none"] = Field(
        default="zstd", description="Codec of the pages."
    )
    compression_level: int | None = Field(default=None, description="Level of the codec; its own default if unset.")

    mode: Literal["insert", "apply"] = Field(
        default="insert",
        description="`insert` adds a row for each record: of a change topic, its history. `apply` follows changes (in "
        "Debezium's envelope, or the flat form; other records write their row), so that the files hold the newest row "
        "of each key: after each commit the table equals its source.",
    )
    key: list[str] = Field(
        default_factory=list,
        description="With `apply`: the columns that tell rows apart. Unset: those that the records' keys name.",
    )
    merge: MergeSettings = Field(default_factory=MergeSettings, description="With `apply`: how changes are merged.")

    compact: CompactSettings | None = Field(
        default=None,
        description="Merge small files while the sink runs: `compact: {}` for the defaults. Unset: never; there is "
        "the command `ingest compact`, too.",
    )

    @model_validator(mode="after")
    def _one_way_to_merge(self) -> Self:
        if self.mode == "insert":
            if self.key or self.merge != MergeSettings():
                raise ValueError(f"{'key' if self.key else 'merge'}: it means something with mode: apply only")
            return self
        if self.partition_by:
            raise ValueError("partition_by: with mode: apply files are divided by key; leave it out")
        if self.compact is not None:
            raise ValueError("compact: with mode: apply each commit merges; leave it out")
        return self

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
