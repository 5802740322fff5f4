"""The newest rows of a round: those that the next round reads again, and knows again by their digests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.errors import ConnectorError
from ingest.formats.row_digests import DIGEST, SIZE


@dataclass(frozen=True, slots=True)
class Mark:
    """All rows above ``floor`` (all, if it is None) are in ``seen``; ``short`` says that fewer fit than were asked."""

    floor: pa.Scalar | None
    seen: pa.Array
    short: bool = False


class Window:
    """Takes rows in the order of the column, and keeps the last of them: ``rows``, and all within ``span_ms`` of the
    newest, as far as their digests fit into ``limit_bytes``.

    Rows that share the newest value are always kept, whatever was asked: more of them may come.
    """

    def __init__(self, rows: int, span_ms: int | None, limit_bytes: int) -> None:
        self._rows = rows
        self._span_ms = span_ms
        self._most = max(1, limit_bytes // SIZE)
        self._kept = self._most + 1
        """The value below those that are remembered is the floor."""
        self._values: list[pa.Array] = []
        self._digests: list[pa.Array] = []
        self._count = 0

    def add(self, values: pa.Array, digests: pa.Array) -> None:
        """Rows that follow: the column, and what to know each by."""
        self._values.append(values)
        self._digests.append(digests)
        self._count += len(values)
        while self._count - len(self._values[0]) >= self._kept:
            self._count -= len(self._values.pop(0))
            self._digests.pop(0)

    def mark(self) -> Mark | None:
        """What to remember now; None if the rows that share the newest value are too many for that."""
        if not self._count:
            return Mark(None, pa.array([], DIGEST))
        values, digests = (_last(each, self._kept) for each in (self._values, self._digests))
        self._values, self._digests, self._count = [values], [digests], len(values)
        firsts = _first_of_each(values)
        ties = int(firsts[-1])
        if len(values) - ties > self._most:
            return None
        asked = int(firsts[firsts <= min(ties, self._asked(values))][-1])
        start = asked
        if len(values) - asked > self._most:
            start = int(firsts[firsts >= len(values) - self._most][0])
        floor = values[start - 1] if start else None
        return Mark(floor, digests.slice(start), short=start > asked)

    def _asked(self, values: pa.Array) -> int:
        """The row from which on the user wants to remember."""
        start = max(0, len(values) - self._rows)
        if self._span_ms is None:
            return start
        newest = values[-1]
        within = pc.greater_equal(values, _before(newest, self._span_ms))
        return min(start, len(values) - int(pc.sum(within).as_py() or 0))


def _last(arrays: list[pa.Array], count: int) -> pa.Array:
    """A copy of so many at the end: a slice alone would keep all of them."""
    left = sum(map(len, arrays)) - count
    return pa.concat_arrays([arrays[0].slice(max(0, left)), *arrays[1:]])


def _first_of_each(values: pa.Array) -> np.ndarray:
    """The rows at which another value begins; equal values stand together."""
    if len(values) == 1:
        return np.zeros(1, np.int64)
    changed = pc.fill_null(pc.not_equal(values.slice(1), values.slice(0, len(values) - 1)), True)
    return np.concatenate([[0], 1 + np.flatnonzero(changed.to_numpy(zero_copy_only=False))])


def _before(newest: pa.Scalar, span_ms: int) -> pa.Scalar:
    kind = newest.type
    if pa.types.is_date(kind):
        days = -(-span_ms // 86_400_000)
        return pc.subtract(newest.cast(pa.date32()).cast(pa.int32()), pa.scalar(days, pa.int32())).cast(pa.date32())
    if not pa.types.is_timestamp(kind):
        raise ConnectorError("window_time needs a column of dates or timestamps", hint="use `window`, in rows")
    return pc.subtract(newest, pa.scalar(span_ms, pa.duration("ms")).cast(pa.duration(kind.unit)))
