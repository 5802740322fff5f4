"""When a commit is due, how files are cut, and what it all costs in memory and descriptors."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lake import Lake, delivery, numbers

from ingest.connectors import MAX_HELD_BYTES, DeadLetter, Delivery, held_bytes
from ingest.sinks.lake.pending_files import MAX_OPEN_FILES
from ingest.sinks.lake.task import LakeTask
from ingest.sinks.parquet.file_format import ROW_GROUP_ROWS


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def wide(start: int, end: int, **columns: np.ndarray) -> pa.Array:
    """Rows made without a step per row."""
    arrays = {"id": pa.array(np.arange(start, end))} | {name: pa.array(column) for name, column in columns.items()}
    return pa.StructArray.from_arrays(list(arrays.values()), names=list(arrays))


def groups(lake: Lake) -> list[list[int]]:
    found = []
    for file in lake.files():
        metadata = pq.read_metadata(file)
        found.append([metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)])
    return found


def waiting_bytes(task: LakeTask) -> int:
    files = task._open_files()
    return files._held_bytes()


def test_a_file_is_cut_when_it_has_its_rows(lake: Lake) -> None:
    task = lake.open(roll={"rows": 100})
    task.put(delivery(0, numbers(0, 60)))
    assert task.flush() is None
    task.put(delivery(60, numbers(60, 101)))
    commit = task.flush()
    assert commit is not None
    assert (commit.rows, commit.files) == (101, 1)


def test_a_delivery_much_larger_than_a_file_goes_to_several(lake: Lake) -> None:
    task = lake.open(roll={"rows": 100})
    task.put(delivery(0, numbers(0, 505)))
    commit = task.flush()
    assert commit is not None
    assert [pq.read_metadata(file).num_rows for file in lake.files()] == [100, 100, 100, 100, 105]


def test_one_full_file_commits_what_all_of_them_hold(lake: Lake) -> None:
    task = lake.open(roll={"rows": 100}, partition_by=["even"])
    task.put(delivery(0, pa.array([{"id": n, "even": n < 100} for n in range(130)])))
    task.put(Delivery("other", 0, 0, 7))
    commit = task.flush()
    assert commit is not None
    assert commit.rows == 130
    assert {place.topic: offset for place, offset in commit.offsets.items()} == {"events": 130, "other": 7}


def test_a_file_is_cut_when_it_has_its_bytes(lake: Lake) -> None:
    task = lake.open(roll={"bytes": "200KiB"}, compression="none")
    random = np.random.default_rng(1)
    sizes, at = [], 0
    while len(sizes) < 4:
        task.put(delivery(at, wide(at, at + 2000, x=random.integers(0, 2**62, 2000))))
        at += 2000
        commit = task.flush()
        if commit is not None:
            sizes.append(commit.size_bytes)
    assert all(200 * 1024 <= size < 300 * 1024 for size in sizes)


def test_the_tail_of_an_idle_topic_lands(lake: Lake) -> None:
    task = lake.open(roll={"interval": "5m"})
    assert task.next_flush_ms() is None
    task.put(delivery(0, numbers(0, 3)))
    lake.clock.ms += 299_000
    assert task.next_flush_ms() == 1000
    assert task.flush() is None
    lake.clock.ms += 1000
    assert task.next_flush_ms() == 0
    assert task.flush() is not None
    assert task.next_flush_ms() is None
    assert len(lake.rows()) == 3


def test_the_interval_counts_from_the_oldest_row_and_heeds_no_jump_of_the_wall_clock(lake: Lake) -> None:
    task = lake.open(roll={"interval": "1m"})
    task.put(delivery(0, numbers(0, 3)))
    lake.clock.wall_ms -= 10_000_000
    lake.clock.ms += 50_000
    task.put(delivery(3, numbers(3, 6)))
    assert task.next_flush_ms() == 10_000
    lake.clock.wall_ms += 90_000_000
    assert task.flush() is None


def test_a_position_without_rows_lands_too(lake: Lake) -> None:
    task = lake.open(roll={"interval": "1m"})
    task.put(Delivery("events", 0, 0, 1000))
    lake.clock.ms += 60_000
    commit = task.flush()
    assert commit is not None
    assert (commit.files, next(iter(commit.offsets.values()))) == (0, 1000)


def test_very_many_dead_letters_make_a_commit_due(lake: Lake) -> None:
    task = lake.open()
    letters = [DeadLetter("events", 0, number, 0, "parse", "ParseFailed", "no" * 500) for number in range(15_000)]
    task.put(Delivery("events", 0, 0, 10_000, (), letters[:10_000]))
    assert task.flush() is None
    task.put(Delivery("events", 0, 10_000, 15_000, (), letters[10_000:]))
    commit = task.flush()
    assert commit is not None
    assert held_bytes(commit.dead) >= MAX_HELD_BYTES
    assert len(commit.dead) == 15_000


def test_very_many_rows_that_the_sink_refuses_itself_make_a_commit_due(lake: Lake) -> None:
    task = lake.open(partition_by=["name"])
    commits, start = [], 0
    while not commits and start < 200_000:
        task.put(delivery(start, wide(start, start + 5_000, name=np.full(5_000, "x" * 300))))
        start += 5_000
        commits += [commit] if (commit := task.flush()) is not None else []
    assert commits, "each row is refused: its folder's name would be too long"
    assert held_bytes(commits[0].dead) >= MAX_HELD_BYTES
    assert held_bytes(commits[0].dead) < 2 * MAX_HELD_BYTES
    assert len(commits[0].dead) == start


def test_small_deliveries_become_large_row_groups(lake: Lake) -> None:
    task = lake.open()
    for start in range(0, 300_000, 5_000):
        task.put(delivery(start, wide(start, start + 5_000)))
    assert task.flush(force=True)
    assert groups(lake) == [[135_000, 135_000, 30_000]]
    assert ROW_GROUP_ROWS <= 135_000


def test_row_groups_of_partitions_are_large_too(lake: Lake) -> None:
    task = lake.open(partition_by=["part"])
    for start in range(0, 600_000, 20_000):
        part = np.arange(start, start + 20_000) % 2
        task.put(delivery(start, wide(start, start + 20_000, part=part)))
    assert task.flush(force=True)
    assert all(group >= ROW_GROUP_ROWS for file in groups(lake) for group in file[:-1])
    assert [sum(file) for file in groups(lake)] == [300_000, 300_000]


def test_when_memory_is_short_row_groups_get_smaller_and_nothing_is_lost(lake: Lake) -> None:
    task = lake.open(memory="1MiB", partition_by=["part"])
    most = 0
    for start in range(0, 200_000, 2_000):
        part = np.arange(start, start + 2_000) % 10
        task.put(delivery(start, wide(start, start + 2_000, part=part, x=np.random.default_rng(start).random(2_000))))
        most = max(most, waiting_bytes(task))
    assert most <= 1024 * 1024
    assert task.flush(force=True)
    assert len(lake.files()) == 10
    assert sorted(row["id"] for row in lake.rows()) == list(range(200_000))


def test_thousands_of_partition_values_take_neither_memory_nor_descriptors(lake: Lake) -> None:
    task = lake.open(memory="1MiB", partition_by=["part"])
    before, most_open, most_held, commits, at = open_descriptors(), 0, 0, 0, 0
    while commits < 2:
        part = np.random.default_rng(at).integers(0, 500, 2_000)
        task.put(delivery(at, wide(at, at + 2_000, part=part)))
        at += 2_000
        most_open = max(most_open, open_descriptors() - before)
        most_held = max(most_held, waiting_bytes(task))
        commits += task.flush() is not None
    assert most_held <= 1024 * 1024
    assert most_open <= MAX_OPEN_FILES + 10
    files = lake.files()
    assert sum(pq.read_metadata(file).num_rows for file in files) == at
    assert len(files) <= 2 * 500


def test_rows_keep_their_order_and_the_footer_says_where_they_come_from(lake: Lake) -> None:
    task = lake.open(partition_by=["part"], memory="1MiB")
    for start in range(0, 100_000, 1_000):
        part = np.arange(start, start + 1_000) // 7 % 3
        task.put(delivery(start, wide(start, start + 1_000, part=part)))
    assert task.flush(force=True)
    for file in lake.files():
        ids = pq.read_table(file, partitioning=None)["id"].to_pylist()
        assert ids == sorted(ids)
        about = orjson.loads(pq.read_metadata(file).metadata[b"ingest"])
        assert about == {
            "pipeline": "site",
            "sink": "lake",
            "commit": 1,
            "topic": "events",
            "partition": 0,
            "offsets": [ids[0], ids[-1] + 1],
        }


def test_files_carry_statistics_and_the_compression_asked_for(lake: Lake) -> None:
    for epoch, compression in enumerate(["zstd", "snappy", "none"], 1):
        task = lake.open(epoch=epoch, compression=compression)
        lake.write(task, 1000 * (epoch - 1), numbers(0, 1000))
    columns = [pq.read_metadata(file).row_group(0).column(0) for file in lake.files()]
    assert [column.compression for column in columns] == ["ZSTD", "SNAPPY", "UNCOMPRESSED"]
    assert all((column.statistics.min, column.statistics.max) == (0, 999) for column in columns)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
