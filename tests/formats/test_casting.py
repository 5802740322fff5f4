"""Casting to a topic's schema: exact, or refused with the row."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from typed_columns import kinds, struct_arrays, told

from ingest.errors import FormatError
from ingest.formats.casting import cast_to, cast_value, without_encodings
from ingest.formats.widening import Clash, join, plain

TEXT = pa.string()
LONG, SHORT = pa.field("x", pa.int64()), pa.field("x", pa.int8())


def cast(rows: list[Any], source: pa.DataType, target: pa.DataType) -> tuple[list[Any], list[int]]:
    """The values that fit, and the rows of those that do not."""
    column = pa.StructArray.from_arrays([pa.array(rows, source)], names=["a"])
    found, refused = cast_value(column, pa.schema([("a", target)]))
    found.validate(full=True)
    return found.field("a").to_pylist(), [row for each in refused for row in each.rows.to_pylist()]


@pytest.mark.parametrize(
    ("rows", "source", "target", "kept", "refused"),
    [
        ([1, None, 300], pa.int64(), pa.int8(), [1, None], [2]),
        ([1, -1], pa.int64(), pa.uint64(), [1], [1]),
        ([2**53, 2**53 + 1, -(2**53) - 1, None], pa.int64(), pa.float64(), [2.0**53, None], [1, 2]),
        ([2**64 - 1, 5], pa.uint64(), pa.float64(), [5.0], [0]),
        ([0.5, 0.1, float("nan")], pa.float64(), pa.float32(), ["0.5", "nan"], [1]),
        ([1.0, 1.5], pa.float64(), pa.int64(), [], [0, 1]),
        (["1", None], pa.string(), pa.int64(), [None], [0]),
        ([1, None], pa.int64(), pa.string(), [None], [0]),
        ([1, 10**10], pa.timestamp("s"), pa.timestamp("ns"), [1], [1]),
        ([1000, 1001], pa.timestamp("ms"), pa.timestamp("s"), [1000], [1]),
        ([b"abc", b"ab"], pa.binary(), pa.binary(3), [b"abc"], [1]),
        ([[1, 2], [300], None], pa.list_(pa.int64()), pa.list_(pa.int8()), [[1, 2], None], [1]),
        ([[1, 2], [3]], pa.list_(pa.int64()), pa.list_(pa.int64(), 2), [[1, 2]], [1]),
        (
            [[("k", 1)], [("k", 300)]],
            pa.map_(pa.string(), pa.int64()),
            pa.map_(pa.string(), pa.int8()),
            [[("k", 1)]],
            [1],
        ),
        (
            [{"x": 1}, {"x": 300}, None],
            pa.struct([("x", pa.int64())]),
            pa.struct([("x", pa.int8())]),
            [{"x": 1}, None],
            [1],
        ),
    ],
)
def test_values_that_would_change_are_refused_alone(
    rows: list[Any], source: pa.DataType, target: pa.DataType, kept: list[Any], refused: list[int]
) -> None:
    found, bad = cast(rows, source, target)
    assert bad == refused
    if pa.types.is_timestamp(target):
        assert [item.timestamp() for item in found] == [1]
    elif pa.types.is_float32(target):
        assert [str(item) for item in found] == kept
    else:
        assert found == kept


def test_columns_that_are_missing_become_null() -> None:
    found, refused = cast_value(pa.array([{"a": 1}]), pa.schema([("b", pa.string()), ("a", pa.int64())]))
    assert found.to_pylist() == [{"b": None, "a": 1}]
    assert not refused


def test_a_value_without_a_column_refuses_its_row_and_null_does_not() -> None:
    column = pa.array(
        [{"a": 1, "x": None, "n": {"y": 1}}, {"a": 2, "x": 5, "n": None}, {"a": 3, "x": None, "n": {"y": None}}]
    )
    schema = pa.schema([("a", pa.int64()), ("n", pa.struct([("z", pa.int8())]))])
    found, refused = cast_value(column, schema)
    assert found.to_pylist() == [{"a": 3, "n": {"z": None}}]
    assert dict(zip(refused[0].rows.to_pylist(), refused[0].reasons, strict=True)) == {
        0: "n.y: the topic has no such column",
        1: "x: the topic has no such column",
    }


def test_null_in_a_column_that_has_none_is_refused() -> None:
    schema = pa.schema([pa.field("a", pa.int64(), nullable=False)])
    found, refused = cast_value(pa.array([{"a": 1}, {"a": None}, None]), schema)
    assert found.to_pylist() == [{"a": 1}, None]
    assert refused[0].rows.to_pylist() == [1]


def test_a_value_that_is_no_struct_is_an_error_of_the_pipeline() -> None:
    with pytest.raises(FormatError, match="parse it first"):
        cast_value(pa.array(["line"]), pa.schema([("a", pa.int64())]))


def test_a_record_batch_is_cast_too() -> None:
    batch, refused = cast_to(pa.record_batch({"a": [1, 2**40]}), pa.schema([("a", pa.int32())]))
    assert batch.to_pydict() == {"a": [1]}
    assert refused[0].rows.to_pylist() == [1]


def test_encodings_are_taken_off_at_every_level() -> None:
    inner = pa.array(["x", "y", "x"]).dictionary_encode()
    column = pa.StructArray.from_arrays([pa.ListArray.from_arrays(pa.array([0, 2, 3], pa.int32()), inner)], names=["l"])
    found = without_encodings(column)
    assert found.type == pa.struct([("l", pa.list_(pa.string()))])
    assert found.to_pylist() == [{"l": ["x", "y"]}, {"l": ["x"]}]


@given(struct_arrays(), kinds())
@settings(max_examples=150)
def test_a_cast_to_the_join_keeps_every_value_that_it_takes(column: pa.StructArray, other: pa.DataType) -> None:
    kind = column.type.field(0).type
    try:
        target = join(kind, other)
    except Clash:
        return
    schema = pa.schema([("c0", target), *list(plain(column.type))[1:]])
    found, refused = cast_value(column, schema)
    found.validate(full=True)
    bad = {row for each in refused for row in each.rows.to_pylist()}
    good = column.take(pa.array([row for row in range(len(column)) if row not in bad], pa.int64()))
    assert len(good) == len(found)
    back, refused = cast_value(found, pa.schema(list(column.type)))
    if kind == target:
        assert not bad
    if not refused:
        assert told(back) == told(good)
