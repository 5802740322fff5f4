"""Rows are known by their digests, whatever order and layout they come in."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from ingest.formats.row_digests import Checksum, row_digests

ROWS = pa.RecordBatch.from_arrays(
    [
        pa.array([b"\xff\x00", b"a", None]),
        pa.array([float("nan"), None, -0.0]),
        pa.array([datetime(2026, 1, 1)] * 3),
        pa.array([Decimal("1.10"), Decimal("1.11"), None]),
        pa.array([2**64 - 1, 1, None], pa.uint64()),
        pa.array([[1.5, float("nan")], [], None]),
    ],
    names=list("abcdef"),
)


def test_a_row_has_one_digest_in_whatever_batch_it_stands() -> None:
    whole = row_digests(ROWS).to_pylist()
    assert len(set(whole)) == 3
    assert [row_digests(ROWS.slice(row, 1)).to_pylist()[0] for row in range(3)] == whole
    assert row_digests(ROWS.take(pa.array([2, 0]))).to_pylist() == [whole[2], whole[0]]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.array([None], pa.float64()), pa.array([float("nan")])),
        (pa.array([0.0]), pa.array([-0.0])),
        (pa.array([""]), pa.array([None], pa.string())),
        (pa.array([b""]), pa.array([None], pa.binary())),
        (pa.array([0]), pa.array([None], pa.int64())),
    ],
)
def test_values_that_differ_have_other_digests(one: pa.Array, other: pa.Array) -> None:
    first, second = (pa.RecordBatch.from_arrays([each], ["v"]) for each in (one, other))
    assert row_digests(first) != row_digests(second)


def test_a_checksum_does_not_depend_on_order_and_counts_twins() -> None:
    whole, parts, twins = Checksum(), Checksum(), Checksum()
    whole.add(ROWS)
    parts.add(ROWS.slice(2))
    parts.add(ROWS.slice(0, 0))
    parts.add(ROWS.slice(0, 2))
    assert whole == parts
    twins.add(ROWS.take(pa.array([0, 0, 1])))
    assert twins.rows == whole.rows
    assert twins != whole
