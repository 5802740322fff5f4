"""Keeping the last value of each key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CompactionResult:
    """What a compaction did."""

    segments: int = 0
