"""The settings of tables that hold the newest row of each key."""

from __future__ import annotations

from pydantic import Field

from ingest.config import ByteSize, DurationMs, Settings


class MergeSettings(Settings):
    """How much may wait for a merge, and where; ``roll.interval`` says how often there is one."""

    waiting: ByteSize = Field(
        default=1024 * 1024 * 1024,
        ge=1024 * 1024,
        description="Bytes of changes that make a commit due before `roll.interval` is over. They wait on disk once "
        "they are more than half of `memory`. More saves rewriting while a large table is first read.",
    )
    scratch: str | None = Field(
        default=None,
        description="A folder for what waits (relative to the pipeline file). Nothing stays there after the process. "
        "Unset: the system's folder for temporary files.",
    )
    grace: DurationMs = Field(
        default=600_000,
        ge=0,
        description="How long files that were rewritten are kept, hidden, for readers by manifest that began before.",
    )
