"""The settings of compaction, as a sink has them."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from ingest.config import ByteSize, DurationMs, Settings

MIB = 1024 * 1024
BELOW_BYTES = 64 * MIB
TO_BYTES = 256 * MIB
GRACE_MS = 3_600_000
MOST_BYTES = 5 * 1024 * MIB


class CompactSettings(Settings):
    """When and how small files are merged while the sink runs."""

    every: DurationMs = Field(
        default=600_000, ge=1_000, description="Time between two looks for files to merge, and before the first one."
    )
    below: ByteSize = Field(
        default=BELOW_BYTES, ge=1, le=MOST_BYTES, description="Files smaller than this are merged, at most 5 GiB."
    )
    to: ByteSize = Field(default=TO_BYTES, ge=1, description="Size of the merged files, about.")
    min_files: int = Field(
        default=4, ge=2, description="So many neighbours make a merge worth it. More saves work, fewer saves files."
    )
    grace: DurationMs = Field(
        default=GRACE_MS,
        ge=0,
        description="How long merged files are kept, hidden, for readers by manifest that began before the merge.",
    )

    @model_validator(mode="after")
    def _sizes_in_order(self) -> Self:
        if self.to < self.below:
            raise ValueError("to: it cannot be smaller than below, or merged files would be merged again and again")
        return self
