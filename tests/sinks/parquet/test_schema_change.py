"""Columns that come, grow and clash, and values that Parquet has no form for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lake import Lake, delivery, numbers

from ingest.errors import RecordRefused
from ingest.sinks.lake.reading import open_dataset


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def schemas(lake: Lake) -> list[dict[str, str]]:
    return [{field.name: str(field.type) for field in pq.read_schema(file)} for file in lake.files()]


def test_an_added_column_makes_a_second_file_in_the_same_commit(lake: Lake) -> None:
    task = lake.open()
    task.put(delivery(0, numbers(0, 5)))
    task.put(delivery(5, numbers(5, 10, word="x")))
    commit = task.flush(force=True)
    assert commit is not None
    assert (commit.number, commit.files, commit.rows) == (1, 2, 10)
    assert schemas(lake) == [{"id": "int64"}, {"id": "int64", "word": "string"}]


def test_a_widened_column_makes_a_new_file_and_readers_unite_them(lake: Lake) -> None:
    task = lake.open()
    lake.write(task, 0, pa.array([{"n": 1}], pa.struct([("n", pa.int32())])))
    lake.write(task, 1, pa.array([{"n": 2**40}], pa.struct([("n", pa.int64())])))
    assert schemas(lake) == [{"n": "int32"}, {"n": "int64"}]
    glob = f"{lake.root}/**/*.parquet"
    duck = duckdb.sql(f"SELECT sum(n) FROM read_parquet('{glob}', union_by_name=true)").fetchall()
    assert duck == [(2**40 + 1,)]
    assert open_dataset("lake", lake.folder).to_table()["n"].to_pylist() == [1, 2**40]


def test_added_columns_are_united_by_polars_and_duckdb(lake: Lake) -> None:
    task = lake.open()
    lake.write(task, 0, numbers(0, 5))
    lake.write(task, 5, numbers(5, 10, word="x"))
    glob = f"{lake.root}/**/*.parquet"
    frame = pl.concat([pl.read_parquet(file) for file in lake.files()], how="diagonal_relaxed")
    assert frame["word"].null_count() == 5
    duck = duckdb.sql(f"SELECT count(*), count(word) FROM read_parquet('{glob}', union_by_name=true)").fetchall()
    assert duck == [(10, 5)]


def test_two_versions_of_a_producer_in_turns_do_not_make_a_file_at_every_turn(lake: Lake) -> None:
    task = lake.open()
    for start in range(0, 40, 4):
        task.put(delivery(start, numbers(start, start + 2)))
        task.put(delivery(start + 2, numbers(start + 2, start + 4, word="x")))
    commit = task.flush(force=True)
    assert commit is not None
    assert commit.files == 2
    assert sorted(row["id"] for row in lake.rows()) == list(range(40))


def test_what_is_known_of_columns_survives_a_restart(lake: Lake) -> None:
    lake.write(lake.open(), 0, numbers(0, 5, word="x"))
    task = lake.open(epoch=2)
    commit = lake.write(task, 5, [{"id": 5, "word": 7}, {"id": 6, "word": None}])
    assert [letter.offset for letter in commit.dead] == [5]
    assert schemas(lake)[1] == {"id": "int64", "word": "string"}


def test_a_clash_goes_to_the_dead_letters_row_by_row(lake: Lake) -> None:
    task = lake.open()
    lake.write(task, 0, numbers(0, 3, user="alice"))
    commit = lake.write(task, 3, [{"id": 3, "user": None}, {"id": 4, "user": {"name": "bob"}}])
    assert [(letter.offset, letter.stage, letter.error) for letter in commit.dead] == [(4, "sink", "CastFailed")]
    assert "user" in commit.dead[0].reason
    assert sorted(row["id"] for row in lake.rows()) == [0, 1, 2, 3]


def test_a_clash_stops_the_sink_where_no_dead_letters_are_allowed(lake: Lake) -> None:
    task = lake.open(tolerate=False)
    lake.write(task, 0, numbers(0, 3, user="alice"))
    with pytest.raises(RecordRefused) as caught:
        lake.write(task, 3, numbers(3, 5, user={"name": "bob"}))
    assert caught.value.facts["offset"] == 3


def test_a_number_that_would_be_rounded_is_refused(lake: Lake) -> None:
    task = lake.open()
    lake.write(task, 0, numbers(0, 1, n=0.5))
    commit = lake.write(task, 1, [{"id": 1, "n": 2**53 + 1}, {"id": 2, "n": 2**53}])
    assert [letter.offset for letter in commit.dead] == [1]
    assert [row["n"] for row in lake.rows()] == [0.5, 2.0**53]


@pytest.mark.parametrize("values", [["a line", "äöü"], [b"\x00\xff", b""]])
def test_values_that_are_no_rows_of_columns_go_to_the_column_value(lake: Lake, values: list[Any]) -> None:
    lake.write(lake.open(), 0, values)
    assert lake.rows() == [{"value": value} for value in values]


def test_a_tombstone_is_left_out_and_counted(lake: Lake) -> None:
    commit = lake.write(lake.open(), 0, [{"id": 1}, None, {"id": None}])
    assert (commit.rows, commit.filtered) == (2, 1)
    assert lake.rows() == [{"id": 1}, {"id": None}]


def test_tombstones_alone_move_the_position_and_make_no_file(lake: Lake) -> None:
    task = lake.open()
    lake.write(task, 0, [{"id": 1}])
    commit = lake.write(task, 1, pa.nulls(2, pa.struct([("id", pa.int64())])))
    assert (commit.files, commit.filtered, list(commit.offsets.values())) == (0, 2, [3])
    assert lake.rows() == [{"id": 1}]


def test_what_holds_nothing_is_left_out_until_it_holds_something(lake: Lake) -> None:
    task = lake.open()
    first = {"id": 1, "none": None, "object": {}, "list": [], "inner": {"x": 1, "none": None}}
    second = {"id": 2, "none": "a", "object": {"k": 1}, "list": [5], "inner": {"x": 2, "none": 3}}
    assert lake.write(task, 0, [first]).dead == ()
    assert lake.write(task, 1, [second]).dead == ()
    assert schemas(lake)[0] == {"id": "int64", "inner": "struct<x: int64>"}
    assert lake.rows()[1] == second


def test_a_value_without_any_column_is_refused(lake: Lake) -> None:
    commit = lake.write(lake.open(), 0, pa.array([{}, {}], pa.struct([])))
    assert [letter.offset for letter in commit.dead] == [0, 1]
    assert lake.files() == []


def test_an_empty_object_among_others_is_a_row_of_nulls(lake: Lake) -> None:
    task = lake.open()
    lake.write(task, 0, numbers(0, 1))
    assert lake.write(task, 1, pa.array([{}], pa.struct([]))).dead == ()
    assert lake.rows() == [{"id": 0}, {"id": None}]


def test_two_columns_of_one_name_are_refused(lake: Lake) -> None:
    twice = pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"])
    commit = lake.write(lake.open(), 0, twice)
    assert [letter.error for letter in commit.dead] == ["DuplicateColumn"]


def test_types_without_a_form_in_parquet_are_refused_only_where_there_is_a_value(lake: Lake) -> None:
    interval = pa.array([(1, 2, 3), None], pa.month_day_nano_interval())
    value = pa.StructArray.from_arrays([pa.array([0, 1]), interval], ["id", "every"])
    commit = lake.write(lake.open(), 0, value)
    assert [(letter.offset, letter.error) for letter in commit.dead] == [(0, "NotWritable")]
    assert lake.rows() == [{"id": 1}]


@pytest.mark.parametrize(
    "array",
    [
        pa.array(["a", None, "a"]).dictionary_encode(),
        pa.array(["a", "b", None], pa.string_view()),
        pa.array([1, None, 3], pa.duration("s")),
        pa.array([1.5, None, 0.0], pa.float16()),
        pa.array([[1, 2], None, []], pa.list_view(pa.int32())),
        pa.array([1, None, 3], pa.time32("s")),
        pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())),
        pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int8(), 2)),
        pa.array([2**63, None, 0], pa.uint64()),
    ],
    ids=lambda array: str(array.type)[:20],
)
def test_less_usual_types_come_back_as_they_were(lake: Lake, array: pa.Array) -> None:
    value = pa.StructArray.from_arrays([pa.array([0, 1, 2]), array], ["id", "x"])
    commit = lake.write(lake.open(), 0, value)
    assert commit.dead == ()
    assert [row["x"] for row in lake.rows()] == array.to_pylist()
    assert open_dataset("lake", lake.folder).to_table()["x"].to_pylist() == array.to_pylist()


def test_topics_of_one_table_keep_their_own_columns(lake: Lake) -> None:
    task = lake.open()
    task.put(delivery(0, numbers(0, 2, a="x")))
    task.put(delivery(0, numbers(0, 2, b=1.5), topic="other"))
    assert task.flush(force=True)
    assert schemas(lake) == [{"id": "int64", "a": "string"}, {"id": "int64", "b": "double"}]
    assert set(open_dataset("lake", lake.folder).schema.names) == {"id", "a", "b"}


def test_a_slice_of_a_larger_column_is_written_as_it_is(lake: Lake) -> None:
    whole = pa.array([{"id": number, "in": {"list": [{"a": number, "none": None}]}} for number in range(10)])
    lake.write(lake.open(), 0, whole.slice(3, 4))
    assert [(row["id"], row["in"]["list"][0]["a"]) for row in lake.rows()] == [(n, n) for n in range(3, 7)]
