"""``select`` makes the value anew, column by column."""

from __future__ import annotations

import pyarrow as pa
import pytest

from ingest.connectors import Records
from ingest.connectors.testing import TransformContract
from ingest.errors import ConfigError
from ingest.transforms.select import Select

ROWS = pa.array([{"a": 1, "b": "x"}, {"a": 2, "b": None}, None])


def select(columns: list[str] | dict[str, str], value: pa.Array = ROWS) -> list[object]:
    result = Select(Select.Settings(columns=columns)).apply(Records(value=value), {})
    assert result.rejected == ()
    return [row for records in result.records for row in records.value.to_pylist()]


class TestSelect(TransformContract):
    def transform(self) -> Select:
        return Select(Select.Settings(columns=["10 / n AS tenth", "upper(name) AS name"]))

    def good(self) -> pa.Array:
        return pa.array([{"n": 1, "name": "a"}, {"n": 2, "name": None}, {"n": 5, "name": "c"}])

    def bad(self) -> pa.Array:
        return pa.array([{"n": 0, "name": "z"}])


def test_columns_come_in_the_order_asked_for() -> None:
    assert select(["b", "a + 1 AS next"]) == [{"b": "x", "next": 2}, {"b": None, "next": 3}, None]


def test_a_mapping_names_the_columns() -> None:
    assert select({"a b": "a", 'quo"te': "b"})[0] == {"a b": 1, 'quo"te': "x"}


def test_a_star_stands_for_what_is_there_and_a_later_column_replaces_it() -> None:
    assert select(["*", "a * 10 AS a", "1 AS one"])[0] == {"a": 10, "b": "x", "one": 1}
    assert select(["*"])[:2] == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]


def test_a_line_is_the_column_value() -> None:
    assert select(["length(value) AS n"], pa.array(["ab"])) == [{"n": 2}]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (["a + 1"], "has no name"),
        (["a", "b AS a"], "two columns are named a"),
        (["a", "*"], "once, and first"),
        (["count(a) AS n"], "an aggregate"),
        (["a AS"], "columns: "),
    ],
)
def test_columns_that_cannot_be_are_refused_at_once(columns: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        Select(Select.Settings(columns=columns))
    assert caught.value.facts["setting"] == "columns"
