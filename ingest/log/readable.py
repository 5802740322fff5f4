"""What a reader needs of a partition, whether this process owns it or another."""

from __future__ import annotations

from typing import Protocol

from ingest.log.partition_reader import ReadResult


class ReadableLog(Protocol):
    """``PartitionLog`` and ``PartitionView`` have this in common; see there."""

    @property
    def log_start_offset(self) -> int: ...

    @property
    def log_end_offset(self) -> int: ...

    @property
    def high_watermark(self) -> int: ...

    @property
    def last_stable_offset(self) -> int: ...

    def read(self, offset: int, max_bytes: int, *, committed: bool) -> ReadResult: ...

    def offset_for_time(self, timestamp_ms: int) -> int | None: ...
