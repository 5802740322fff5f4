"""Which lines begin a record, where records have several lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Grouping:
    """``pattern`` (RE2) marks lines that begin a record, or with ``continues`` those that do not."""

    pattern: str
    continues: bool = False
    max_lines: int = 1_000

    def first_lines(self, lines: pa.Array, stops: Index, max_bytes: int) -> Index:
        """The indices of lines that begin a record; the first line always does.

        A record that grows over ``max_lines`` or ``max_bytes`` ends at a line before that.
        """
        text = pc.ascii_rtrim(lines.view(pa.string()), characters="\r\n").view(pa.binary())
        matches = pc.match_substring_regex(text, self.pattern)
        begins = matches.to_numpy(zero_copy_only=False) != self.continues
        begins[0] = True
        first = np.flatnonzero(begins)
        return self._limited(first, stops, max_bytes)

    def is_full(self, first: int, count: int) -> bool:
        """Whether the record from line ``first`` on, the last of ``count`` lines, cannot grow."""
        return count - first >= self.max_lines

    def _limited(self, first: Index, stops: Index, max_bytes: int) -> Index:
        starts = np.concatenate((np.zeros(1, np.int64), stops[:-1]))
        bounds = np.append(first, len(stops))
        sizes = stops[bounds[1:] - 1] - starts[first]
        too_big = (np.diff(bounds) > self.max_lines) | (sizes > max_bytes)
        if not too_big.any():
            return first
        extra = [
            self._cuts(int(begin), int(end), starts, stops, max_bytes)
            for begin, end in zip(bounds[:-1][too_big], bounds[1:][too_big], strict=True)
        ]
        return np.unique(np.concatenate([first, *extra]))

    def _cuts(self, begin: int, end: int, starts: Index, stops: Index, max_bytes: int) -> Index:
        """Further beginnings inside one record that is too big: a step for each piece, not for each line."""
        cuts: list[int] = []
        while True:
            by_size = int(np.searchsorted(stops, starts[begin] + max_bytes, side="right"))
            begin = max(begin + 1, min(by_size, begin + self.max_lines))
            if begin >= end:
                return np.asarray(cuts, np.int64)
            cuts.append(begin)
