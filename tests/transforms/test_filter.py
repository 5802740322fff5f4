"""``filter`` keeps what its expression holds true for."""

from __future__ import annotations

import pyarrow as pa
import pytest

from ingest.connectors import Records
from ingest.connectors.testing import TransformContract
from ingest.errors import ConfigError
from ingest.transforms.filter import Filter


def filter_by(where: str, value: pa.Array) -> list[object]:
    result = Filter(Filter.Settings(where=where)).apply(Records(value=value), {})
    return [row for records in result.records for row in records.value.to_pylist()]


class TestFilter(TransformContract):
    def transform(self) -> Filter:
        return Filter(Filter.Settings(where="cast(status AS int) >= 400"))

    def good(self) -> pa.Array:
        return pa.array([{"status": "200"}, {"status": "404"}, {"status": "500"}])

    def bad(self) -> pa.Array:
        return pa.array([{"status": "many"}])


def test_false_and_null_are_left_out() -> None:
    rows = pa.array([{"n": 1}, {"n": 2}, {"n": None}, None])
    assert filter_by("n > 1", rows) == [{"n": 2}]


def test_lines_are_the_column_value() -> None:
    assert filter_by("value LIKE '%ERROR%'", pa.array(["ERROR 1", "fine"])) == ["ERROR 1"]


def test_a_batch_of_which_nothing_is_left_has_no_records() -> None:
    assert Filter(Filter.Settings(where="false")).apply(Records(value=pa.array(["a"])), {}).records == []


def test_null_for_all_rows_keeps_none() -> None:
    assert filter_by("null", pa.array(["a"])) == []


def test_an_expression_must_be_true_or_false() -> None:
    with pytest.raises(ConfigError, match="must be true or false"):
        filter_by("n + 1", pa.array([{"n": 1}]))
