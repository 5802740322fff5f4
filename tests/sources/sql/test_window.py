"""The newest rows of a round, kept in as much memory as was allowed, however many rows go by."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats.row_digests import DIGEST, SIZE
from ingest.sources.sql.window import Mark, Window

MOST = 8


def digests_of(first: int, count: int) -> pa.Array:
    return pa.array([number.to_bytes(SIZE) for number in range(first, first + count)], DIGEST)


def told(mark: Mark | None) -> object:
    return None if mark is None else (mark.floor, mark.seen.to_pylist(), mark.short)


@given(
    st.lists(st.tuples(st.lists(st.integers(0, 3), min_size=1, max_size=7), st.booleans()), min_size=1, max_size=12),
    st.integers(0, 12),
)
def test_asking_in_between_changes_nothing(parts: list[tuple[list[int], bool]], rows: int) -> None:
    """``parts`` are steps from one value to the next, and whether the window is asked behind them."""
    asked, unasked = Window(rows, None, MOST * SIZE), Window(rows, None, MOST * SIZE)
    count = value = 0
    for steps, asks in parts:
        values = []
        for step in steps:
            value += step
            values.append(value)
        for window in (asked, unasked):
            window.add(pa.array(values), digests_of(count, len(values)))
        count += len(values)
        if asks:
            asked.mark()
    assert told(asked.mark()) == told(unasked.mark())


def test_memory_does_not_grow_with_the_rows_that_go_by() -> None:
    window = Window(MOST, None, 1000 * SIZE)
    window.add(pa.array(range(500)), digests_of(0, 500))
    before = pa.total_allocated_bytes()
    for first in range(500, 200_000, 500):
        window.add(pa.array(range(first, first + 500)), digests_of(first, 500))
        window.mark()
    assert pa.total_allocated_bytes() - before < 4 * 1000 * (SIZE + 8)
