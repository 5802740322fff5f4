"""Folders by value: what readers get back, and that nothing leaves the table."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lake import Lake, delivery, numbers

from ingest.errors import ConfigError, RecordRefused
from ingest.sinks.lake import hive
from ingest.sinks.lake.partition_by import parse, parse_all
from ingest.sinks.lake.reading import open_dataset

NASTY = [
    "..",
    ".",
    "",
    "/etc",
    "a/b",
    "../../x",
    "\x00",
    "\x1f",
    "a=b",
    "%2F",
    "50%",
    "é☃",
    " ",
    "NULL",
    hive.NULL,
    "*?[]{}",
]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


@given(st.text(min_size=1, max_size=8), st.none() | st.text(max_size=60))
def test_a_folder_name_is_one_component_and_reads_back(key: str, value: str | None) -> None:
    name = hive.component(key, value)
    assert "/" not in name
    assert "\x00" not in name
    assert name not in (".", "..")
    assert hive.parse_component(name) == (key, value)


def test_nasty_values_stay_in_the_table_and_read_back(lake: Lake) -> None:
    task = lake.open(partition_by=["name"])
    lake.write(task, 0, [{"id": number, "name": value} for number, value in enumerate([*NASTY, None])])
    for file in lake.files():
        assert file.resolve().is_relative_to(lake.root.resolve())
        assert len(file.relative_to(lake.root).parts) == 2
    rows = open_dataset("lake", lake.folder).to_table().sort_by("id")["name"].to_pylist()
    assert rows == [*NASTY, None]
    found = duckdb.sql(
        f"SELECT name FROM read_parquet('{lake.root}/**/*.parquet', hive_partitioning=1) ORDER BY id"
    ).fetchall()
    assert [name for (name,) in found] == [*NASTY, None]


def test_times_are_cut_in_utc(lake: Lake) -> None:
    tz = dt.timezone(dt.timedelta(hours=2))
    times = pa.array([dt.datetime(2026, 2, 1, 1, 30, tzinfo=tz), None], pa.timestamp("us", "Europe/Berlin"))
    value = pa.StructArray.from_arrays([pa.array([1, 2]), times], ["id", "at"])
    lake.write(lake.open(partition_by=["year(at)", "month(at)", "day(at)", "hour(at)"]), 0, value)
    folders = [str(file.parent.relative_to(lake.root)) for file in lake.files()]
    null = hive.NULL
    assert folders == [
        "year=2026/month=2026-01/day=2026-01-31/hour=2026-01-31T23",
        f"year={null}/month={null}/day={null}/hour={null}",
    ]


def test_the_record_time_serves_where_the_value_has_no_timestamp(lake: Lake) -> None:
    task = lake.open(partition_by=["day(timestamp)", "topic", "partition"])
    task.put(delivery(0, numbers(0, 2), timestamps=[0, None], partition=3))
    assert task.flush(force=True)
    assert [str(file.parent.relative_to(lake.root)) for file in lake.files()] == [
        "day=1970-01-01/topic=events/partition=3",
        f"day={hive.NULL}/topic=events/partition=3",
    ]


def test_a_column_of_the_value_named_timestamp_wins(lake: Lake) -> None:
    value = pa.array([{"id": 1, "timestamp": dt.datetime(2020, 5, 5)}])
    lake.write(lake.open(partition_by=["day(timestamp)"]), 0, value)
    assert lake.files()[0].parent.name == "day=2020-05-05"


def test_a_partition_column_is_left_out_of_the_file_and_comes_back_from_the_path(lake: Lake) -> None:
    values = [{"id": 1, "status": 200, "code": "007"}, {"id": 2, "status": None, "code": "7"}]
    lake.write(lake.open(partition_by=["status", "code"]), 0, values)
    assert lake.rows() in ([{"id": 1}, {"id": 2}], [{"id": 2}, {"id": 1}])
    table = open_dataset("lake", lake.folder).to_table().sort_by("id")
    assert table.to_pylist() == values


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (-3, "-3"),
        (1.5, "1.5"),
        (dt.date(2026, 1, 31), "2026-01-31"),
        (dt.datetime(2026, 1, 31, 5, 6, 7), "2026-01-31 05%3A06%3A07.000000"),
        ("x", "x"),
    ],
)
def test_values_of_all_types_make_folders_and_come_back(lake: Lake, value: Any, text: str) -> None:
    rows = [{"id": 1, "at": value}, {"id": 2, "at": None}]
    lake.write(lake.open(partition_by=["at"]), 0, rows)
    assert {file.parent.name for file in lake.files()} == {f"at={text}", f"at={hive.NULL}"}
    assert open_dataset("lake", lake.folder).to_table().sort_by("id").to_pylist() == rows


def test_a_value_too_long_for_a_folder_is_refused_alone(lake: Lake) -> None:
    task = lake.open(partition_by=["name"])
    commit = lake.write(task, 0, [{"id": 0, "name": "a"}, {"id": 1, "name": "é" * 130}, {"id": 2, "name": "b"}])
    assert [letter.offset for letter in commit.dead] == [1]
    assert sorted(row["id"] for row in lake.rows()) == [0, 2]


def test_a_partition_column_that_no_record_ever_had_is_told_not_guessed(lake: Lake) -> None:
    rows = [{"id": 0, "status": 1}, {"id": 1, "status": 2}]
    commit = lake.write(lake.open(partition_by=["statsu"]), 0, rows)
    assert [letter.offset for letter in commit.dead] == [0, 1]
    assert {letter.error for letter in commit.dead} == {"PartitionColumnMissing"}
    assert commit.dead[0].reason == (
        "partition_by needs a column statsu, and no record had one so far; did you mean status?"
    )
    assert lake.files() == []


def test_without_tolerance_it_stops_the_sink(lake: Lake) -> None:
    with pytest.raises(RecordRefused, match=r"partition_by needs a column nowhere, .*there are id"):
        lake.write(lake.open(partition_by=["nowhere"], tolerate=False), 0, [{"id": 0}])


def test_a_column_that_records_have_now_and_then_is_null_in_the_others(lake: Lake) -> None:
    task = lake.open(partition_by=["user"])
    lake.write(task, 0, [{"id": 0, "user": "a"}])
    commit = lake.write(task, 1, [{"id": 1}, {"id": 2}])
    assert commit.dead == ()
    assert {file.parent.name for file in lake.files()} == {"user=a", f"user={hive.NULL}"}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.none() | st.sampled_from("abc"), st.none() | st.integers(0, 3)), min_size=1, max_size=40))
def test_every_row_is_in_the_folder_of_its_values(tmp_path: Path, rows: list[tuple[str | None, int | None]]) -> None:
    from uuid import uuid4

    folder = tmp_path / uuid4().hex
    folder.mkdir()
    lake = Lake(folder)
    kind = pa.struct([("id", pa.int64()), ("a", pa.string()), ("b", pa.int64())])
    values = [{"id": number, "a": a, "b": b} for number, (a, b) in enumerate(rows)]
    lake.write(lake.open(partition_by=["a", "b"]), 0, pa.array(values, kind))
    assert open_dataset("lake", folder).to_table().sort_by("id").to_pylist() == values


@pytest.mark.parametrize("spec", ["week(at)", "day()", "", "  ", "day(at", "a\x00b"])
def test_what_is_no_partition_is_refused_when_the_file_is_loaded(spec: str) -> None:
    with pytest.raises(ValueError):
        parse(spec)


def test_two_folders_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match=r"day=.*as other"):
        parse_all(["day(a)", "day(b)"])
    assert [field.key for field in parse_all(["day(a)", "day(b) as other"])] == ["day", "other"]


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        ("tags", {"id": 1, "tags": ["a"]}),
        ("day(name)", {"id": 1, "name": "2026-01-31"}),
        ("day(at)", {"id": 1, "day": 5, "at": dt.datetime(2026, 1, 1)}),
        ("id", {"id": 1}),
    ],
)
def test_partitions_that_the_columns_do_not_allow_stop_the_sink(lake: Lake, spec: str, value: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        lake.write(lake.open(partition_by=[spec]), 0, [value])
    assert caught.value.facts["setting"] == "partition_by"
    assert caught.value.hint


def test_duckdb_polars_and_pandas_agree(lake: Lake) -> None:
    task = lake.open(partition_by=["day(timestamp)", "status"])
    days = [86_400_000 * (number % 3) for number in range(1000)]
    value = pa.array([{"id": number, "status": 200 + number % 2, "host": f"h{number % 7}"} for number in range(1000)])
    for start in range(0, 1000, 250):
        lake.write(task, start, value.slice(start, 250), timestamps=days[start : start + 250])
    expected = sum(range(0, 1000, 2))
    glob = f"{lake.root}/**/*.parquet"
    duck = duckdb.sql(f"SELECT count(*), sum(id), count(DISTINCT day) FROM read_parquet('{glob}') WHERE status = 200")
    assert duck.fetchall() == [(500, expected, 3)]
    polars = pl.read_parquet(glob, hive_partitioning=True).filter(pl.col("status") == 200)
    assert (polars.height, polars["id"].sum(), polars["day"].n_unique()) == (500, expected, 3)
    pandas = pd.read_parquet(lake.root)
    pandas = pandas[pandas["status"].astype(int) == 200]
    assert (len(pandas), int(pandas["id"].sum()), pandas["day"].nunique()) == (500, expected, 3)
    assert os.listdir(lake.root) != []
