"""``rename``, ``drop``, ``cast``: the columns of the value under other names, fewer, of other types."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from ingest.connectors import Records, Transform, Transformed
from ingest.connectors.testing import TransformContract
from ingest.errors import ConfigError
from ingest.transforms.cast import Cast
from ingest.transforms.drop import Drop
from ingest.transforms.found_columns import marked
from ingest.transforms.rename import Rename

ROWS = pa.array([{"a": "1", "b": "x"}, {"a": "2", "b": None}, None])


def apply(transform: Transform, value: pa.Array = ROWS) -> Transformed:
    return transform.apply(Records(value=value), {})


def rows(result: Transformed) -> list[object]:
    return [row for records in result.records for row in records.value.to_pylist()]


def cast(value: object, kind: str, **settings: str) -> object:
    result = apply(Cast(Cast.Settings(columns={"x": kind}, **settings)), pa.array([{"x": value}]))
    return rows(result)[0]["x"] if result.records else result.rejected[0].reasons[0]  # type: ignore[index]


class TestRename(TransformContract):
    def transform(self) -> Rename:
        return Rename(Rename.Settings(columns={"a": "c"}))

    def good(self) -> pa.Array:
        return ROWS


class TestDrop(TransformContract):
    def transform(self) -> Drop:
        return Drop(Drop.Settings(columns=["a"]))

    def good(self) -> pa.Array:
        return ROWS


class TestCast(TransformContract):
    def transform(self) -> Cast:
        return Cast(Cast.Settings(columns={"a": "int32", "b": "string"}))

    def good(self) -> pa.Array:
        return ROWS

    def bad(self) -> pa.Array:
        return pa.array([{"a": "one", "b": "y"}])


def test_columns_may_change_places() -> None:
    assert rows(apply(Rename(Rename.Settings(columns={"a": "b", "b": "a"}))))[0] == {"b": "1", "a": "x"}


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two columns would be named b"):
        apply(Rename(Rename.Settings(columns={"a": "b"})))
    with pytest.raises(ConfigError, match="two columns would be named c"):
        Rename(Rename.Settings(columns={"a": "c", "b": "c"}))


def test_a_line_becomes_a_column() -> None:
    assert rows(apply(Rename(Rename.Settings(columns={"value": "message"})), pa.array(["x"]))) == [{"message": "x"}]


def test_dropping_the_last_column_leaves_the_record() -> None:
    assert rows(apply(Drop(Drop.Settings(columns=["a", "b"])))) == [{}, {}, None]


@pytest.mark.parametrize(
    "transform", [Rename(Rename.Settings(columns={"nam": "x"})), Drop(Drop.Settings(columns=["nam"]))]
)
def test_a_column_that_is_not_there_is_a_mistake_unless_columns_were_found_in_the_rows(transform: Transform) -> None:
    with pytest.raises(ConfigError, match="there is no column nam") as caught:
        apply(transform, pa.array([{"name": 1}]))
    assert "did you mean name?" in str(caught.value.hint)
    found = pa.array([{"name": 1}], pa.struct(marked([pa.field("name", pa.int64())])))
    assert rows(apply(transform, found)) == [{"name": 1}]


@pytest.mark.parametrize(
    ("value", "kind", "made"),
    [
        ("7", "int8", 7),
        ("+7", "int64", 7),
        ("007", "int", 7),
        (7.0, "int32", 7),
        ("1e3", "double", 1000.0),
        (1, "string", "1"),
        ("true", "bool", True),
        ("12.30", "decimal(6, 2)", Decimal("12.30")),
        ("2026-01-31", "date", date(2026, 1, 31)),
        ("2026-01-31T01:00:00+01:00", "timestamp", datetime(2026, 1, 31, tzinfo=UTC)),
        (b"text", "string", "text"),
        (None, "int8", None),
        ("", "string", ""),
    ],
)
def test_a_value_that_fits_is_cast(value: object, kind: str, made: object) -> None:
    assert cast(value, kind) == made


@pytest.mark.parametrize(
    ("value", "kind", "reason"),
    [
        ("128", "int8", "x: '128' is no int8"),
        ("0x10", "int64", "x: '0x10' is no int64"),
        ("", "int64", "x: '' is no int64"),
        ("x" * 100, "int64", "x: 'xxx"),
        (7.5, "int32", "x: 7.5 is no int32"),
        (b"\xff", "string", "x: b'\\xff' is no string"),
        ("1.234", "decimal(6, 2)", "x: '1.234' is no decimal128(6, 2)"),
        ("2026-02-30", "date", "x: '2026-02-30' is no date32[day]"),
        ("noon", "timestamp", "x: 'noon' is no timestamp"),
        ("1500-01-01", "timestamp_ns", "x: '1500-01-01' is no timestamp"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_text(value: object, kind: str, reason: str) -> None:
    assert str(cast(value, kind)).startswith(reason)
    assert len(str(cast(value, kind))) < 120


def test_timestamps_by_pattern_and_zone() -> None:
    made = cast("31.01.2026 12:00", "timestamp_ms", time_format="%d.%m.%Y %H:%M", timezone="Europe/Berlin")
    assert made == datetime(2026, 1, 31, 11, tzinfo=UTC)


def test_what_cannot_be_a_type_at_all_is_the_pipelines_mistake() -> None:
    with pytest.raises(ConfigError, match="cannot become int64"):
        cast([1], "int64")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"columns": {"x": "int23"}}, "there is no type int23"),
        ({"columns": {"x": "decimal(99, 2)"}}, "there is no type decimal"),
        ({"columns": {"x": "timestamp"}, "timezone": "Mars"}, "no time zone Mars"),
        ({"columns": {"x": "int64"}, "time_format": "%Y-%m-%d"}, "no column becomes a timestamp"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Cast(Cast.Settings(**settings))  # type: ignore[arg-type]
