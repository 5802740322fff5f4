"""The contract suite of transforms: see ``ingest.connectors.testing``."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest

from ingest.connectors.records import HEADERS, TIMESTAMP, Origin, Records
from ingest.connectors.transform import State, Transform, Transformed

_NOW_MS = 1_700_000_000_000


class TransformContract(ABC):
    """Every transform passes these."""

    @abstractmethod
    def transform(self) -> Transform:
        """A new transform."""

    @abstractmethod
    def good(self) -> pa.Array:
        """A value column of at least three rows, none of which is rejected (some may be filtered out)."""

    def bad(self) -> pa.Array:
        """One value that must be rejected, of the type of ``good``."""
        pytest.skip("no `bad`: this transform rejects no row")

    def test_every_row_goes_on_or_is_filtered_out_and_none_appears_twice(self) -> None:
        given = batch(self.good())
        result = self.transform().apply(given, {})
        kept = kept_rows(result)
        assert len(set(kept)) == len(kept)
        assert set(kept) <= set(range(len(given)))
        assert rejected_rows(result) == []

    def test_every_row_keeps_its_own_columns(self) -> None:
        for records in self.transform().apply(batch(self.good()), {}).records:
            assert records.rows is not None
            assert records.key is not None
            for row, key in zip(records.rows.to_pylist(), records.key.to_pylist(), strict=True):
                assert key == str(row).encode()
            for column in (records.value, records.timestamp, records.headers, records.positions):
                assert column is not None
                assert len(column) == len(records.rows)

    def test_stream_and_origin_are_kept(self) -> None:
        given = batch(self.good())
        for records in self.transform().apply(given, {}).records:
            assert (records.stream, records.origin) == (given.stream, given.origin)
            assert records.common_headers == given.common_headers

    def test_the_input_is_left_as_it_was(self) -> None:
        given = batch(self.good())
        before = given.value.to_pylist()
        self.transform().apply(given, {})
        assert given.value.to_pylist() == before

    def test_a_slice_of_a_batch_is_treated_as_its_copy(self) -> None:
        longer = batch(self.good())
        view = longer.slice(1)
        copy = view.take(pa.array(range(len(view)), pa.int64()))
        assert self.outcome(view) == self.outcome(copy)

    def test_one_batch_or_many_makes_no_difference(self) -> None:
        whole = batch(self.good())
        transform = self.transform()
        state: State = {}
        found = []
        for number in range(len(whole)):
            result = transform.apply(whole.slice(number, 1), state)
            state = result.state if result.state is not None else state
            found += values_by_row(result)
        assert sorted(found, key=first) == sorted(values_by_row(self.transform().apply(whole, {})), key=first)

    def test_state_is_json_and_enough_to_go_on(self) -> None:
        whole = batch(self.good())
        state: State = {}
        found = []
        for number in range(len(whole)):  # a new transform each time: all that it knows is in the state
            result = self.transform().apply(whole.slice(number, 1), state)
            state = json.loads(json.dumps(result.state)) if result.state is not None else state
            found += values_by_row(result)
        assert sorted(found, key=first) == sorted(values_by_row(self.transform().apply(whole, {})), key=first)

    def test_a_batch_of_nulls_is_no_reason_to_fail(self) -> None:
        good = self.good()
        given = batch(pa.nulls(3, good.type))
        result = self.transform().apply(given, {})
        seen = kept_rows(result) + rejected_rows(result)
        assert len(set(seen)) == len(seen)

    def test_a_bad_row_is_rejected_with_a_reason_and_its_neighbours_are_not(self) -> None:
        good, bad = self.good(), self.bad()
        alone = values(self.transform().apply(batch(good), {}))
        result = self.transform().apply(batch(pa.concat_arrays([good, bad, good])), {})
        assert rejected_rows(result) == [len(good)]
        assert all(reason for rejected in result.rejected for reason in rejected.reasons)
        assert all(rejected.error for rejected in result.rejected)
        assert all(len(rejected.rows) == len(rejected.reasons) for rejected in result.rejected)
        assert len(good) not in kept_rows(result)
        if not self.transform().stateful:
            assert values(result) == alone + alone

    def test_a_batch_of_nothing_but_bad_rows_is_rejected_whole(self) -> None:
        bad = self.bad()
        result = self.transform().apply(batch(pa.concat_arrays([bad, bad])), {})
        assert sorted(rejected_rows(result)) == [0, 1]
        assert kept_rows(result) == []

    def outcome(self, given: Records) -> tuple[list[Any], list[int]]:
        """What becomes of a batch: the values that go on, by row, and the rows rejected (by their index)."""
        result = self.transform().apply(given, {})
        return sorted(values_by_row(result), key=first), rejected_rows(result)


def batch(value: pa.Array) -> Records:
    """Records as they enter the transforms of a source, every column set, each row recognisable by its key."""
    count = len(value)
    header = [("number", b"1")]
    return Records(
        value=value,
        topic="events",
        key=pa.array([str(row).encode() for row in range(count)], pa.binary()),
        timestamp=pa.array([_NOW_MS] * count, pa.int64()).cast(TIMESTAMP),
        headers=pa.array([[{"key": key, "value": value} for key, value in header]] * count, HEADERS),
        common_headers=(("host", b"example"),),
        stream="stream",
        origin=Origin("suite", "origin", _NOW_MS),
        positions=pa.array(range(0, 10 * count, 10), pa.int64()),
        rows=pa.array(range(count), pa.int64()),
    )


def kept_rows(result: Transformed) -> list[int]:
    """The rows that go on, in order."""
    return [row for records in result.records for row in _rows(records)]


def rejected_rows(result: Transformed) -> list[int]:
    """The rows that were rejected, in order."""
    return [row for rejected in result.rejected for row in rejected.rows.to_pylist()]


def values(result: Transformed) -> list[Any]:
    """The values that go on, in order of rows."""
    return [value for _, value in sorted(values_by_row(result), key=first)]


def values_by_row(result: Transformed) -> list[tuple[int, Any]]:
    """(row, (topic, value)) of what goes on."""
    return [
        (row, (records.topic, value))
        for records in result.records
        for row, value in zip(_rows(records), records.value.to_pylist(), strict=True)
    ]


def first(pair: tuple[int, Any]) -> int:
    """Sorts pairs by row."""
    return pair[0]


def _rows(records: Records) -> Sequence[int]:
    assert records.rows is not None, "a transform must carry `rows`: derive with filter, take, slice, replace"
    return list(records.rows.to_pylist())
