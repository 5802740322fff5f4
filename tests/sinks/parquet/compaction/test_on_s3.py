"""Merging files of a bucket, where hiding is a copy and a removal, and publishing completes an upload."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import s3fs
from compacting import compact
from lake import Lake, numbers
from s3_server import BUCKET, s3_server

from ingest.connectors.testing import Crash
from ingest.sinks.lake.reading import check_table, open_dataset

STEPS = (
    "compact.manifest.put",
    "compact.hide.file",
    "compact.hidden",
    "compact.publish.file",
    "compact.vacuum.file",
)
"""Where a bucket differs from a folder."""


@pytest.fixture(scope="module")
def options() -> Iterator[dict[str, Any]]:
    with s3_server() as found:
        yield found


@pytest.fixture
def lake(tmp_path: Path, options: dict[str, Any]) -> Lake:
    lake = Lake(tmp_path, {"url": f"s3://{BUCKET}{tmp_path}/lake", "storage_options": options})
    task = lake.open()
    for start in (0, 10, 20):
        lake.write(task, start, numbers(start, start + 10))
    return lake


def globbed(lake: Lake) -> list[int]:
    s3 = s3fs.S3FileSystem(**lake.settings["storage_options"], use_listings_cache=False)
    files = [path for path in s3.find(f"{BUCKET}{lake.folder}/lake") if path.endswith(".parquet")]
    return [number for file in files for number in pq.ParquetFile(s3.open(file)).read()["id"].to_pylist()]


def read(lake: Lake) -> list[int]:
    dataset = open_dataset(lake.settings["url"], lake.folder, lake.settings["storage_options"])
    return sorted(dataset.to_table()["id"].to_pylist())


def test_files_are_merged_hidden_and_removed(lake: Lake) -> None:
    before = open_dataset(lake.settings["url"], lake.folder, lake.settings["storage_options"])
    assert len(compact(lake).merged) == 1
    assert globbed(lake) == list(range(30))
    assert sorted(before.to_table()["id"].to_pylist()) == list(range(30))
    lake.write(lake.open(epoch=2), 30, numbers(30, 40))
    assert len(compact(lake, grace_ms=0).removed) == 5
    assert globbed(lake) == read(lake) == list(range(40))
    where = lake.settings
    assert check_table(where["url"], lake.folder, repair=False, storage_options=where["storage_options"]) == []


def test_a_reader_in_the_middle_of_a_file_goes_on_in_the_hidden_one(lake: Lake) -> None:
    dataset = open_dataset(lake.settings["url"], lake.folder, lake.settings["storage_options"])
    path = dataset.files[0]
    with dataset.filesystem.open_input_file(path) as file:
        start = file.read(4)
        compact(lake)
        rest = file.read()
    assert (start, rest[-4:]) == (b"PAR1", b"PAR1")


@pytest.mark.slow
@pytest.mark.parametrize("point", STEPS)
def test_a_crash_at_any_step_loses_and_doubles_nothing(lake: Lake, point: str) -> None:
    def crash() -> None:
        raise Crash

    lake.fail.arm("compact.manifest.before", crash)
    with pytest.raises(Crash):
        compact(lake)
    crashes = 0
    for number in range(2):
        lake.fail.arm(point, crash)
        start = 30 + number * 10
        try:
            compact(lake, grace_ms=0)
        except Crash:
            crashes += 1
        assert len(globbed(lake)) == len(set(globbed(lake)))
        assert read(lake) == list(range(start))
        lake.write(lake.open(epoch=2 + number), start, numbers(start, start + 10))
        assert read(lake) == list(range(start + 10))
    assert crashes
    lake.fail = type(lake.fail)()
    compact(lake, grace_ms=0)
    assert globbed(lake) == list(range(50))
