"""Streams by the beginning of their content, so that thousands of files are not compared pair by pair."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from ingest.sources.file.fingerprint import HEAD_LENGTHS
from ingest.sources.file.stream import Stream

_Head = tuple[int, int]


class HeadIndex:
    """Finds streams whose content may begin as a given one does. What it finds is to be looked at closer."""

    def __init__(self, streams: Iterable[Stream]) -> None:
        self._by_head: dict[_Head, list[Stream]] = defaultdict(list)
        self._by_longest: dict[_Head, list[Stream]] = defaultdict(list)
        self._short: list[Stream] = []
        self._all: list[Stream] = []
        for stream in streams:
            self.add(stream)

    def add(self, stream: Stream) -> None:
        """A stream of which nothing is known is not alike to anything."""
        heads = stream.heads
        if not heads:
            return
        self._all.append(stream)
        known = _known(heads)
        for head in known:
            self._by_head[head].append(stream)
        if known:
            self._by_longest[known[-1]].append(stream)
        else:
            self._short.append(stream)

    def alike(self, heads: Mapping[int, int]) -> Iterator[Stream]:
        """Streams that agree with ``heads`` as far as both are known, and those too short to tell."""
        known = _known(heads)
        if not known:
            yield from self._all
            return
        yield from self._by_head.get(known[-1], ())
        for head in known[:-1]:
            yield from self._by_longest.get(head, ())
        yield from self._short


def _known(heads: Mapping[int, int]) -> list[_Head]:
    return [(length, heads[length]) for length in HEAD_LENGTHS if length in heads]
