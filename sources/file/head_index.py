"""Streams by the beginning of their content, so that thousands of files are not compared pair by pair."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator

from ingest.sources.file.fingerprint import HEAD_LENGTHS, Bytes, crc32c, heads_of
from ingest.sources.file.stream import Stream

_Head = tuple[int, int]


class HeadIndex:
    """Finds streams whose content may begin as a given one does. What it finds is to be looked at closer.

    Of a stream that has delivered something the checksums of its head are known; of one that has not, the
    bytes themselves, as its file was just found.
    """

    def __init__(self, streams: Iterable[Stream]) -> None:
        self._delivered = _Checksums()
        self._fresh = _Beginnings()
        for stream in streams:
            self.add(stream)

    def add(self, stream: Stream) -> None:
        """A stream of which nothing is known is not alike to anything."""
        if stream.offset:
            self._delivered.add(stream)
        elif len(stream.first):
            self._fresh.add(stream)

    def alike(self, first: Bytes) -> Iterator[Stream]:
        """Streams whose content begins with ``first``, or is a beginning of it, as far as is known."""
        yield from self._fresh.alike(first.tobytes())
        yield from self._delivered.alike(first)


class _Beginnings:
    """By the bytes: those that begin with a given one stand together in order."""

    def __init__(self) -> None:
        self._streams: dict[bytes, list[Stream]] = {}
        self._ordered: list[bytes] = []
        self._lengths: set[int] = set()

    def add(self, stream: Stream) -> None:
        first = stream.first.tobytes()
        if first not in self._streams:
            self._streams[first] = []
            insort(self._ordered, first)
            self._lengths.add(len(first))
        self._streams[first].append(stream)

    def alike(self, first: bytes) -> Iterator[Stream]:
        for length in self._lengths:
            if length < len(first):
                yield from self._streams.get(first[:length], ())
        place = bisect_left(self._ordered, first)
        while place < len(self._ordered) and self._ordered[place].startswith(first):
            yield from self._streams[self._ordered[place]]
            place += 1


class _Checksums:
    """By the checksums: exact where the stream's head is the shorter one, else as far as they reach."""

    def __init__(self) -> None:
        self._by_longest: dict[_Head, list[Stream]] = defaultdict(list)
        self._by_head: dict[_Head, list[tuple[int, Stream]]] = defaultdict(list)
        self._lengths: set[int] = set()
        self._all: list[tuple[int, Stream]] = []

    def add(self, stream: Stream) -> None:
        heads = stream.position.fingerprint.heads
        longest = max(heads)
        self._lengths.add(longest)
        self._by_longest[longest, heads[longest]].append(stream)
        self._all.append((longest, stream))
        for length in HEAD_LENGTHS:
            if length in heads:
                self._by_head[length, heads[length]].append((longest, stream))

    def alike(self, first: Bytes) -> Iterator[Stream]:
        for length in self._lengths:
            if length <= len(first):
                yield from self._by_longest.get((length, crc32c(first[:length])), ())
        known = [(length, crc) for length, crc in heads_of(first).items() if length in HEAD_LENGTHS]
        longer = self._by_head.get(known[-1], []) if known else self._all
        yield from (stream for longest, stream in longer if longest > len(first))
