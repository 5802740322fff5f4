"""Merging the files of a table: what comes out, and what stays as it is."""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from compacting import FAIL_POINTS, compact, compactor, hidden, ids
from lake import Lake, delivery, numbers
from powercut import PowerCutDisk

from ingest.connectors.testing import Crash
from ingest.errors import OutputDamaged
from ingest.sinks.lake.reading import check_table, open_dataset


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def write(lake: Lake, commits: int, *, rows: int = 10, **settings: object) -> None:
    task = lake.open(**settings)
    for number in range(commits):
        lake.write(task, number * rows, numbers(number * rows, (number + 1) * rows))
    task.close()


def read(lake: Lake) -> list[int]:
    return sorted(open_dataset("lake", lake.folder).to_table()["id"].to_pylist())


def test_small_files_become_one_and_rows_keep_their_order(lake: Lake) -> None:
    write(lake, 12)
    result = compact(lake)
    assert len(lake.files()) == 1
    assert ids(lake) == list(range(120))
    assert read(lake) == list(range(120))
    assert [merged.into.rows for merged in result.merged] == [120]


def test_a_merged_file_sorts_where_its_rows_stood(lake: Lake) -> None:
    write(lake, 4)
    compact(lake)
    task = lake.open(epoch=2)
    lake.write(task, 40, numbers(40, 50))
    assert ids(lake) == list(range(50))


def test_the_footer_tells_where_the_rows_come_from(lake: Lake) -> None:
    write(lake, 3)
    compact(lake)
    about = json.loads(pq.read_metadata(lake.files()[0]).metadata[b"ingest"])
    assert about == {
        "pipeline": "site",
        "sink": "lake",
        "commit": 3,
        "merged": 3,
        "topic": "events",
        "partition": 0,
        "offsets": [0, 30],
    }


def test_folders_topics_and_partitions_are_kept_apart(lake: Lake) -> None:
    task = lake.open(partition_by=["part"])
    at = {("events", 0): 0, ("events", 1): 0, ("other", 0): 0}
    for _ in range(3):
        for (topic, partition), start in at.items():
            values = [{"id": number, "part": number % 2} for number in range(start, start + 10)]
            task.put(delivery(start, values, topic=topic, partition=partition))
            at[topic, partition] = start + 10
        task.flush(force=True)
    assert len(lake.files()) == 18
    compact(lake)
    assert sorted(path.parent.name for path in lake.files()) == ["part=0"] * 3 + ["part=1"] * 3
    assert read(lake) == sorted(list(range(30)) * 3)


def test_old_files_are_hidden_and_removed_after_their_grace(lake: Lake) -> None:
    write(lake, 3)
    compact(lake, grace_ms=60_000)
    assert len(hidden(lake)) == 3
    lake.clock.wall_ms += 59_999
    assert compact(lake, grace_ms=60_000).removed == []
    lake.clock.wall_ms += 1
    assert len(compact(lake, grace_ms=60_000).removed) == 3
    assert hidden(lake) == []
    assert read(lake) == list(range(30))


def test_who_opened_the_table_before_goes_on_reading_it(lake: Lake) -> None:
    write(lake, 3)
    dataset = open_dataset("lake", lake.folder)
    compact(lake)
    assert sorted(dataset.to_table()["id"].to_pylist()) == list(range(30))
    assert dataset.count_rows() == 30


def test_files_are_merged_again_as_more_come(lake: Lake) -> None:
    for epoch in range(1, 4):
        task = lake.open(epoch=epoch)
        start = (epoch - 1) * 20
        for at in (start, start + 10):
            lake.write(task, at, numbers(at, at + 10))
        compact(lake, grace_ms=0)
        assert ids(lake) == list(range(start + 20))
        assert len(lake.files()) == 1


def test_the_sink_opens_again_although_its_last_commit_was_merged_away(lake: Lake) -> None:
    write(lake, 3)
    compact(lake, grace_ms=0)
    task = lake.open(epoch=2)
    assert task.standing.last.number == 3
    lake.write(task, 30, numbers(30, 40))
    assert read(lake) == list(range(40))


def test_the_sink_stops_if_its_last_commit_is_nowhere_and_was_not_merged(lake: Lake) -> None:
    write(lake, 3)
    compact(lake)
    lake.write(lake.open(epoch=2), 30, numbers(30, 40))
    lake.files()[-1].unlink()
    with pytest.raises(OutputDamaged):
        lake.open(epoch=3)


def test_a_commit_that_is_not_yet_visible_is_left_alone(lake: Lake) -> None:
    write(lake, 2)
    task = lake.open(epoch=2)
    lake.fail.arm("lake.manifest.put", crash)
    with pytest.raises(Crash):
        lake.write(task, 20, numbers(20, 30))
    compact(lake)
    assert ids(lake) == list(range(20))
    lake.open(epoch=3)
    assert ids(lake) == list(range(30))
    assert read(lake) == list(range(30))


def test_large_files_are_left_alone_and_no_rows_are_moved_past_them(lake: Lake) -> None:
    task = lake.open(compression="none")
    sizes = [10, 10, 5000, 10, 10]
    start = 0
    for size in sizes:
        lake.write(task, start, numbers(start, start + size))
        start += size
    compact(lake, below=10_000)
    assert [pq.read_metadata(file).num_rows for file in lake.files()] == [20, 5000, 20]
    assert ids(lake) == list(range(start))


def test_merged_files_are_of_about_the_size_that_is_asked_for(lake: Lake) -> None:
    rng = np.random.default_rng(1)
    task = lake.open()
    for number in range(20):
        value = pa.StructArray.from_arrays([pa.array(rng.random(1000))], ["x"])
        lake.write(task, number * 1000, value)
    compact(lake, to=40_000)
    assert {36_000 < file.stat().st_size < 52_000 for file in lake.files()} == {True}


def test_schemas_become_the_newest(lake: Lake) -> None:
    task = lake.open()
    lake.write(task, 0, [{"id": 1}])
    lake.write(task, 1, [{"id": 2, "name": "x"}])
    lake.write(task, 2, [{"id": 2.5, "name": "y"}])
    compact(lake)
    (file,) = lake.files()
    assert pq.ParquetFile(file).read().to_pylist() == [
        {"id": 1.0, "name": None},
        {"id": 2.0, "name": "x"},
        {"id": 2.5, "name": "y"},
    ]


def test_a_single_file_with_old_columns_is_written_anew_only_if_asked(lake: Lake) -> None:
    task = lake.open(partition_by=["day"])
    lake.write(task, 0, [{"id": 1, "day": "a"}])
    lake.write(task, 1, [{"id": 2, "day": "b", "name": "x"}])
    assert compact(lake).merged == []
    assert len(compact(lake, newest_schema=True).merged) == 1
    assert compact(lake, newest_schema=True).merged == []
    assert {name for file in lake.files() for name in pq.read_schema(file).names} == {"id", "name"}


def test_files_of_different_partitionings_are_not_mixed(lake: Lake) -> None:
    lake.write(lake.open(partition_by=["status", "day(at) as d"]), 0, [{"id": 1, "status": "x", "at": None}] * 2)
    task = lake.open(epoch=2)
    lake.write(task, 2, [{"id": 2, "status": "x", "at": None}])
    lake.write(task, 3, [{"id": 3, "status": "x", "at": None}])
    compact(lake)
    assert len(lake.files()) == 2
    assert sorted(open_dataset("lake", lake.folder).to_table()["status"].to_pylist()) == ["x"] * 4


def test_row_groups_are_large_and_memory_is_not_the_tables(lake: Lake) -> None:
    task = lake.open(roll={"rows": 40_000, "bytes": "1GiB", "interval": "1h"})
    for number in range(10):
        value = pa.StructArray.from_arrays([pa.array(np.arange(40_000))], ["id"])
        lake.write(task, number * 40_000, value)
    compact(lake)
    (file,) = lake.files()
    meta = pq.read_metadata(file)
    sizes = [meta.row_group(number).num_rows for number in range(meta.num_row_groups)]
    assert sum(sizes) == 400_000
    assert min(sizes[:-1]) >= 128 * 1024
    assert meta.row_group(0).column(0).compression == "ZSTD"


def test_a_damaged_file_stays_and_others_are_merged(lake: Lake) -> None:
    task = lake.open(partition_by=["part"])
    for start in (0, 10):
        lake.write(task, start, [{"id": number, "part": number % 2} for number in range(start, start + 10)])
    victim = lake.files()[0]
    victim.write_bytes(victim.read_bytes()[:-9] + b"x" * 9)
    result = compactor(lake).run()
    assert [str(victim) in problem.message for problem in result.problems] == [True]
    assert len(result.merged) == 1
    assert victim.exists()
    assert len(lake.files()) == 3


def test_a_plan_changes_nothing(lake: Lake) -> None:
    write(lake, 3)
    before = sorted(lake.root.rglob("*"))
    (merge,) = compactor(lake).plan()
    assert (len(merge.files), merge.rows, merge.folder) == (3, 30, "")
    assert sorted(lake.root.rglob("*")) == before


def test_what_is_to_stop_stops_between_row_groups_and_leaves_nothing(lake: Lake) -> None:
    write(lake, 3)
    stopping = threading.Event()
    stopping.set()
    result = compact(lake, stopping=stopping)
    assert result.interrupted
    assert result.merged == []
    assert lake.temporaries() == []
    assert ids(lake) == list(range(30))


def test_an_empty_table_is_no_error(lake: Lake) -> None:
    lake.open().close()
    assert compact(lake).merged == []


@pytest.mark.parametrize("point", FAIL_POINTS)
def test_a_crash_at_any_step_loses_and_doubles_nothing(lake: Lake, point: str) -> None:
    write(lake, 3)
    lake.fail.arm("compact.manifest.before", crash)
    with pytest.raises(Crash):
        compact(lake)
    crashes = 0
    for number in range(3):
        lake.fail.arm(point, crash)
        start = 30 + number * 10
        try:
            compact(lake, grace_ms=0)
        except Crash:
            crashes += 1
            assert len(ids(lake)) == len(set(ids(lake)))
            assert read(lake) == list(range(start))
        lake.write(lake.open(epoch=2 + number), start, numbers(start, start + 10))
        assert len(ids(lake)) == len(set(ids(lake)))
        assert read(lake) == list(range(start + 10))
    assert crashes
    lake.fail = type(lake.fail)()
    compact(lake, grace_ms=0)
    assert ids(lake) == list(range(60))
    assert len(lake.files()) == 1
    assert lake.temporaries() == []
    assert hidden(lake) == []


@pytest.mark.parametrize("point", [*FAIL_POINTS[:7], "compact.vacuumed"])
@pytest.mark.parametrize("commits", [0, 1])
def test_while_one_compaction_hangs_another_does_its_work(lake: Lake, point: str, commits: int) -> None:
    write(lake, 3)

    def other() -> None:
        if commits:
            lake.write(lake.open(epoch=2), 30, numbers(30, 40))
        compact(lake)

    lake.fail.arm(point, other)
    compact(lake)
    rows = list(range(30 + 10 * commits))
    assert ids(lake) == read(lake) == rows
    assert len(lake.files()) == 1
    assert lake.temporaries() == []
    assert check_table("lake", lake.folder, repair=False) == []


@pytest.mark.parametrize("spare", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("point", FAIL_POINTS)
def test_a_power_cut_at_any_step_loses_and_doubles_nothing(
    tmp_path: Path, point: str, spare: float, ordered: bool
) -> None:
    disk = PowerCutDisk(tmp_path, spare=spare, ordered=ordered)
    lake = Lake(tmp_path, {"partition_by": ["topic"]}, disk=disk)
    write(lake, 3)
    lake.fail.arm(point, crash)
    with contextlib.suppress(Crash):
        compact(lake, grace_ms=0)
        compact(lake, grace_ms=0)
    disk.cut()
    assert len(ids(lake)) == len(set(ids(lake)))
    task = lake.open(epoch=2)
    assert len(ids(lake)) == len(set(ids(lake)))
    assert read(lake) == list(range(30))
    lake.write(task, 30, numbers(30, 40))
    compact(lake, grace_ms=0)
    disk.cut()
    assert ids(lake) == read(lake) == list(range(40))


def test_a_commit_that_is_published_and_merged_before_its_names_are_durable_is_not_published_again(
    tmp_path: Path,
) -> None:
    disk = PowerCutDisk(tmp_path)
    lake = Lake(tmp_path, {"partition_by": ["topic"]}, disk=disk)
    task = lake.open()
    lake.write(task, 0, numbers(0, 10))

    def merge_and_lose_power() -> None:
        lake.fail.arm("compact.manifest.put", crash)
        compact(lake)

    lake.fail.arm("lake.publish.file", merge_and_lose_power)
    with pytest.raises(Crash):
        lake.write(task, 10, numbers(10, 20))
    disk.cut()
    compact(lake)
    lake.open(epoch=2)
    assert ids(lake) == read(lake) == list(range(20))


def crash() -> None:
    raise Crash
