"""Whose turn it is to be read, and how much of the batch it gets."""

from __future__ import annotations

from collections.abc import Iterable

from ingest.sources.file.family import family_of
from ingest.sources.file.stream import Stream

_LEAST_BYTES = 64 * 1024


def next_turns(ready: Iterable[Stream]) -> list[Stream]:
    """The streams to read now: those that waited longest, then oldest first.

    Of the turns of one rotated log only the oldest: the next is begun when that is read to its end.
    Different logs are read side by side.
    """
    turns: dict[str, Stream] = {}
    for stream in sorted(ready, key=_age):
        turns.setdefault(family_of(stream.file.found.path if stream.file else ""), stream)
    return sorted(turns.values(), key=lambda stream: stream.served_at)


def share_of(left_bytes: int, streams: int) -> int:
    """What each of ``streams`` gets of the ``left_bytes`` of a batch."""
    return max(left_bytes // max(streams, 1), min(_LEAST_BYTES, left_bytes // 4), 1)


def _age(stream: Stream) -> tuple[int, str]:
    assert stream.file is not None
    return stream.file.found.mtime_ns, stream.file.found.path
