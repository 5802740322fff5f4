"""``parse`` with ``format: json``."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
from parsing import parse

from ingest.connectors import Records
from ingest.connectors.testing import TransformContract
from ingest.transforms.filter import Filter
from ingest.transforms.parse import Parse


class TestJson(TransformContract):
    def transform(self) -> Parse:
        return Parse(Parse.Settings(format="json"))

    def good(self) -> pa.Array:
        return pa.array(['{"a": 1, "b": {"c": "x"}}', '{"a": 2, "b": {"c": null}}', '{"a": null, "b": null}'])

    def bad(self) -> pa.Array:
        return pa.array(['{"a": 1, "b"'])


def test_columns_and_types_are_found_in_the_rows() -> None:
    found = parse(['{"a": 1}', '{"b": [true], "a": 2}'], format="json")
    assert found.rows == [{"a": 1, "b": None}, {"a": 2, "b": [True]}]


def test_types_and_timestamp_can_be_set() -> None:
    lines = ['{"ts": 1761019822.25, "n": "7"}', '{"ts": null, "n": "x"}']
    found = parse(lines, format="json", timestamp="ts", time_format="epoch_s", types={"n": "int64"})
    assert found.rows == [{"ts": datetime(2025, 10, 21, 4, 10, 22, 250_000, tzinfo=UTC), "n": 7}]
    assert found.timestamps == [datetime(2025, 10, 21, 4, 10, 22, 250_000, tzinfo=UTC)]
    assert found.reasons == {1: "n: 'x' is no int64"}


def test_what_is_no_object_is_refused_alone() -> None:
    lines = ['{"a": 1}', "[1]", "", '{"a": 1} x', '{"a": NaN}', '{"a": 2}']
    found = parse(lines, format="json")
    assert found.rows == [{"a": 1}, {"a": 2}]
    assert sorted(found.reasons) == [1, 2, 3, 4]


def test_refused_lines_are_counted_as_they_stand_in_the_batch() -> None:
    found = parse(["x", '{"n": "1"}', "y", '{"n": "z"}'], format="json", types={"n": "int64"})
    assert sorted(found.reasons) == [0, 2, 3]


def test_a_column_that_a_batch_lacks_is_null_to_what_comes_after() -> None:
    records = Parse(Parse.Settings(format="json")).apply(Records(value=pa.array(['{"a": 1}'])), {}).records[0]
    assert Filter(Filter.Settings(where="b IS NULL")).apply(records, {}).records[0].value.to_pylist() == [{"a": 1}]
    assert Filter(Filter.Settings(where="b = 'x'")).apply(records, {}).records == []


def test_an_object_without_any_name() -> None:
    assert parse(["{}", "{}"], format="json").rows == [{}, {}]


def test_tombstones_go_on() -> None:
    assert parse([None, '{"a": 1}'], format="json").rows == [None, {"a": 1}]
