"""How the keys of a table are divided among its files.

The digest of a key is taken as a number of 128 bits; a bucket is the leading bits, written as ``0`` and ``1``, that all
of its keys share. Buckets of one table never overlap. A file that grows too large becomes several of longer prefixes,
so that a change of a key rewrites one file of bounded size, and no other file is ever touched by it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ingest.formats.row_digests import row_digests

MOST_BITS = 32
"""More would be a table of four thousand million files."""


@dataclass(frozen=True, slots=True)
class Digests:
    """Of keys: the first and the last 64 bits of each."""

    high: np.ndarray
    low: np.ndarray

    def __len__(self) -> int:
        return len(self.high)

    def take(self, places: np.ndarray) -> Digests:
        return Digests(self.high[places], self.low[places])

    def order(self) -> np.ndarray:
        """The places by digest; equal ones stay in their order."""
        found: np.ndarray = np.lexsort((self.low, self.high))
        return found

    def begins(self) -> np.ndarray:
        """Of sorted ones: where another key begins."""
        marks = np.ones(len(self), bool)
        marks[1:] = (self.high[1:] != self.high[:-1]) | (self.low[1:] != self.low[:-1])
        return marks

    def within(self, bucket: str) -> np.ndarray:
        """A mask of those that belong to a bucket."""
        if not bucket:
            return np.ones(len(self), bool)
        found: np.ndarray = (self.high >> np.uint64(64 - len(bucket))) == np.uint64(int(bucket, 2))
        return found

    def places_in(self, ordered: Digests) -> np.ndarray:
        """For each its place among ``ordered``, which are sorted and different; -1 where it is not there."""
        places = np.searchsorted(ordered.high, self.high)
        found = np.full(len(self), -1, np.int64)
        open_ = np.flatnonzero(places < len(ordered))
        while len(open_):
            at = places[open_]
            same = ordered.high[at] == self.high[open_]
            equal = same & (ordered.low[at] == self.low[open_])
            found[open_[equal]] = at[equal]
            # another key with the same first half: hardly ever, and never skipped
            open_ = open_[same & ~equal]
            places[open_] += 1
            open_ = open_[places[open_] < len(ordered)]
        return found


def digests_of(rows: pa.RecordBatch, key: Sequence[str]) -> Digests:
    """Of the rows' keys, by the values of the columns ``key``."""
    if not len(rows):
        return Digests(np.empty(0, np.uint64), np.empty(0, np.uint64))
    found = row_digests(rows.select(list(key)))
    words = np.frombuffer(found.buffers()[1], ">u8", count=2 * len(found), offset=16 * found.offset)
    halves = words.astype(np.uint64).reshape(-1, 2)
    return Digests(halves[:, 0].copy(), halves[:, 1].copy())


def bounds(bucket: str) -> tuple[int, int]:
    """The least and the greatest first half of the digests in a bucket."""
    least = int(bucket.ljust(64, "0"), 2)
    return least, least | ((1 << (64 - len(bucket))) - 1)


def leaves(present: Collection[str], bucket: str = "") -> Iterator[str]:
    """All buckets, in order: those ``present``, and between them the largest ones that overlap none of them."""
    below = [name for name in present if name.startswith(bucket)]
    if bucket in below or not below:
        yield bucket
        return
    yield from leaves(below, f"{bucket}0")
    yield from leaves(below, f"{bucket}1")


def divided(bucket: str, parts: float) -> list[str]:
    """The buckets that take the place of one, so many at least."""
    bits = min(max(0, math.ceil(math.log2(max(parts, 1)))), MOST_BITS - len(bucket))
    return [f"{bucket}{number:0{bits}b}" if bits else bucket for number in range(1 << bits)]
