"""The newest row of each key, against the same in a few lines of Python."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from ingest.errors import UsageError
from ingest.sinks.parquet import newest_rows
from ingest.sinks.parquet.newest_rows import write_newest


def dataset(folder: Path, name: str, rows: list[dict[str, Any]], schema: pa.Schema | None = None) -> ds.Dataset:
    (folder / name).mkdir()
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / name / "rows.parquet", row_group_size=100)
    return ds.dataset(folder / name, format="parquet")


def merged(folder: Path, base: ds.Dataset, new: ds.Dataset, *key: str, by: str | None = None) -> list[dict[str, Any]]:
    write_newest(base, new, key, by, folder / "out")
    return ds.dataset(folder / "out", format="parquet").to_table().to_pylist()


def test_new_rows_take_the_place_of_old_ones_and_the_last_of_several_wins(tmp_path: Path) -> None:
    base = dataset(tmp_path, "a", [{"id": 1, "v": "a"}, {"id": 2, "v": "b"}])
    new = dataset(tmp_path, "b", [{"id": 2, "v": "B"}, {"id": 3, "v": "c"}, {"id": 2, "v": "BB"}])
    found = merged(tmp_path, base, new, "id")
    assert sorted(found, key=lambda row: row["id"]) == [
        {"id": 1, "v": "a"},
        {"id": 2, "v": "BB"},
        {"id": 3, "v": "c"},
    ]


def test_columns_that_came_later_are_null_in_older_rows(tmp_path: Path) -> None:
    base, new = dataset(tmp_path, "a", [{"id": 1}]), dataset(tmp_path, "b", [{"id": 2, "v": "b"}])
    found = merged(tmp_path, base, new, "id")
    assert sorted(found, key=lambda row: row["id"]) == [{"id": 1, "v": None}, {"id": 2, "v": "b"}]


@pytest.mark.parametrize("by", [None, "at"])
def test_many_rows_in_many_buckets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str | None) -> None:
    monkeypatch.setattr(newest_rows, "_BUCKET_BYTES", 2000)
    dice = random.Random(3)
    rows = [
        {
            "a": dice.choice([None, *range(200)]),
            "b": f"k{dice.randrange(3)}",
            "at": dice.choice([None, 1, 2, 3]),
            "n": n,
        }
        for n in range(3000)
    ]
    expected: dict[Any, dict[str, Any]] = {}
    for row in rows:
        old = expected.get((row["a"], row["b"]))
        if old is None or by is None or (row["at"] or 0) >= (old["at"] or 0):
            expected[row["a"], row["b"]] = row
    schema = pa.schema({"a": pa.int64(), "b": pa.string(), "at": pa.int64(), "n": pa.int64()})
    base, new = dataset(tmp_path, "a", rows[:1000], schema), dataset(tmp_path, "b", rows[1000:], schema)
    found = merged(tmp_path, base, new, "a", "b", by=by)
    assert sorted(row["n"] for row in found) == sorted(row["n"] for row in expected.values())


def test_two_empty_tables_give_an_empty_one_with_their_columns(tmp_path: Path) -> None:
    schema = pa.schema({"id": pa.int64(), "v": pa.string()})
    base, new = dataset(tmp_path, "a", [], schema), dataset(tmp_path, "b", [], schema)
    assert merged(tmp_path, base, new, "id") == []
    assert ds.dataset(tmp_path / "out", format="parquet").schema.names == ["id", "v"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    base, new = dataset(tmp_path, "a", [{"id": 1}]), dataset(tmp_path, "b", [{"id": "x"}])
    with pytest.raises(UsageError):
        merged(tmp_path, base, new, "id")
    with pytest.raises(UsageError, match="no column"):
        merged(tmp_path, base, base, "nothing")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
