"""The settings of the Parquet sink."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from ingest.sinks.lake.settings import LakeSettings
from ingest.sinks.parquet.compaction.settings import CompactSettings


class ParquetSettings(LakeSettings):
    """Where the files go, how they are cut and written."""

    compression: Literal["zstd", "snappy", "gzip", "lz4", "brotli", "none"] = Field(
        default="zstd", description="Codec of the pages."
    )
    compression_level: int | None = Field(default=None, description="Level of the codec; its own default if unset.")

    compact: CompactSettings | None = Field(
        default=None,
        description="Merge small files while the sink runs: `compact: {}` for the defaults. Unset: never; there is "
        "the command `ingest compact`, too.",
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
