"""The segments of a partition by base offset, as readers see them: a tuple that is replaced, never changed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from operator import attrgetter

from ingest.log.segment import Segment


class SegmentList:
    """Never empty once opened; the last one is active. One thread at a time replaces, any number read."""

    def __init__(self, segments: Iterable[Segment]) -> None:
        self.all: tuple[Segment, ...] = tuple(segments)

    @property
    def active(self) -> Segment:
        return self.all[-1]

    @property
    def size_bytes(self) -> int:
        return sum(segment.size_bytes for segment in self.all)

    def from_offset(self, offset: int) -> tuple[Segment, ...]:
        """The segment that holds ``offset`` (or would, if it is in a gap) and all later ones."""
        segments = self.all
        return segments[max(bisect_right(segments, offset, key=attrgetter("base_offset")) - 1, 0) :]

    def add(self, segment: Segment) -> None:
        self.all = (*self.all, segment)

    def replace(self, old: Iterable[Segment], new: Iterable[Segment]) -> None:
        """Puts ``new`` in the place of ``old``; readers see either all of them or none."""
        gone = set(old)
        kept = [segment for segment in self.all if segment not in gone]
        self.all = tuple(sorted([*kept, *new], key=attrgetter("base_offset")))
