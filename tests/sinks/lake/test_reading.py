"""Reading a table by its manifests, or without any."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datafusion import SessionContext
from lake import Lake, numbers

from ingest.connectors.testing import Crash
from ingest.errors import UsageError
from ingest.sinks.lake.reading import open_dataset


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def crash() -> None:
    raise Crash


def test_a_commit_is_seen_whole_or_not_at_all(lake: Lake) -> None:
    task = lake.open(partition_by=["part"])
    lake.write(task, 0, [{"id": number, "part": number % 4} for number in range(40)])
    lake.fail.arm("lake.publish.file", crash)
    with pytest.raises(Crash):
        lake.write(task, 40, [{"id": number, "part": number % 4} for number in range(40, 80)])
    assert len(lake.rows()) == 50
    assert open_dataset("lake", lake.folder).count_rows() == 40
    lake.open(epoch=2, partition_by=["part"])
    assert open_dataset("lake", lake.folder).count_rows() == 80


def test_files_that_are_of_no_commit_are_not_read(lake: Lake) -> None:
    lake.write(lake.open(), 0, numbers(0, 10))
    pq.write_table(pa.table({"id": [99]}), lake.root / "foreign.parquet")
    assert open_dataset("lake", lake.folder).to_table()["id"].to_pylist() == list(range(10))


def test_all_sinks_of_a_folder_are_read_together(lake: Lake) -> None:
    lake.write(lake.open(pipeline="one"), 0, numbers(0, 10, a=1))
    lake.write(lake.open(pipeline="two"), 0, numbers(10, 20, b="x"))
    table = open_dataset("lake", lake.folder).to_table()
    assert sorted(table["id"].to_pylist()) == list(range(20))
    assert {"a", "b"} <= set(table.schema.names)


def test_sql_over_a_table_by_datafusion(lake: Lake) -> None:
    task = lake.open(partition_by=["day(at)", "status"])
    start = dt.datetime(2026, 1, 31, 22)
    rows = [{"id": n, "at": start + dt.timedelta(hours=n), "status": 200 + n % 2} for n in range(6)]
    lake.write(task, 0, rows)
    context = SessionContext()
    context.register_dataset("t", open_dataset("lake", lake.folder))
    found = context.sql("SELECT day, count(*) AS n FROM t WHERE status = 200 GROUP BY day ORDER BY day").to_pylist()
    assert found == [{"day": dt.date(2026, 1, 31), "n": 1}, {"day": dt.date(2026, 2, 1), "n": 2}]


def test_partitions_changed_between_commits(lake: Lake) -> None:
    lake.write(lake.open(), 0, numbers(0, 5, part="a"))
    lake.write(lake.open(epoch=2, partition_by=["part"]), 5, numbers(5, 10, part="b"))
    table = open_dataset("lake", lake.folder).to_table().sort_by("id")
    assert table["part"].to_pylist() == ["a"] * 5 + ["b"] * 5


def test_a_folder_without_manifests_is_read_as_it_is(lake: Lake) -> None:
    for day, code in (("2026-01-31", "1"), ("2026-02-01", "x")):
        folder = lake.root / f"day={day}" / f"code={code}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"id": [1]}), folder / "some.parquet")
    pq.write_table(pa.table({"id": [2.5], "more": ["x"]}), folder / "other.parquet")
    dataset = open_dataset("lake", lake.folder)
    assert dict(zip(dataset.schema.names, map(str, dataset.schema.types), strict=True)) == {
        "id": "double",
        "more": "string",
        "day": "date32[day]",
        "code": "string",
    }
    assert dataset.count_rows() == 3


def test_one_file_is_a_table_too(lake: Lake) -> None:
    lake.write(lake.open(), 0, numbers(0, 10))
    assert open_dataset(str(lake.files()[0]), lake.folder).count_rows() == 10


def test_where_nothing_is_the_error_says_so(lake: Lake) -> None:
    with pytest.raises(UsageError, match="no Parquet file"):
        open_dataset("nowhere", lake.folder)
    lake.open().close()
    with pytest.raises(UsageError, match="no Parquet file"):
        open_dataset("lake", lake.folder)


def test_columns_that_cannot_be_one_are_named(lake: Lake) -> None:
    lake.write(lake.open(pipeline="one"), 0, numbers(0, 1, x=1))
    lake.write(lake.open(pipeline="two"), 0, numbers(0, 1, x="text"))
    with pytest.raises(UsageError, match="the column x"):
        open_dataset("lake", lake.folder)
