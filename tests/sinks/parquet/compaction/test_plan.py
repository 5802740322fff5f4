"""Which files are merged with which."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from ingest.sinks.lake.manifest import DataFile, StoredFile
from ingest.sinks.lake.table_view import LiveFile, TableView
from ingest.sinks.parquet.compaction.plan import Rules, plan

RULES = Rules(below_bytes=100, to_bytes=300, min_files=2)


def table(sizes: Sequence[int], *, folder: str = "", suffix: str = ".parquet") -> TableView:
    """One file of ten rows for each size, in order of offsets."""
    files = {}
    for number, size in enumerate(sizes):
        path = f"{folder}{number:05d}{suffix}"
        file = DataFile(StoredFile(path, size, ""), 10, "events", 0, number * 10, number * 10 + 9)
        files[path] = LiveFile(file, ())
    return TableView(files=files)


def merges(sizes: Sequence[int], rules: Rules = RULES, outdated: Sequence[int] = ()) -> list[list[int]]:
    """The numbers of the files of each merge."""
    paths = frozenset(f"{number:05d}.parquet" for number in outdated)
    found = plan(table(sizes), rules, paths)
    return [[file.first_offset // 10 for file in merge.files] for merge in found]


def test_neighbours_are_merged_until_they_make_a_file() -> None:
    assert merges([90] * 10) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_single_file_is_left_alone() -> None:
    assert merges([10]) == []
    assert merges([10, 500, 10]) == []
    assert merges([]) == []


def test_files_of_the_right_size_stay_between_their_neighbours() -> None:
    assert merges([10, 10, 100, 10, 10]) == [[0, 1], [3, 4]]


def test_fewer_than_asked_for_are_left_alone() -> None:
    assert merges([10, 10, 10], Rules(100, 300, min_files=4)) == []


def test_a_large_one_waits_until_its_neighbours_are_as_large() -> None:
    rules = Rules(100, 300, min_files=2, thorough=False)
    assert merges([90, 10, 10], rules) == [[1, 2]]
    assert merges([90, 40, 40], rules) == [[1, 2]]
    assert merges([90, 40, 40, 10], rules) == [[0, 1, 2, 3]]
    assert merges([90, 40, 20], rules) == []


def test_an_outdated_file_is_written_anew_whatever_its_size() -> None:
    assert merges([500], outdated=[0]) == [[0]]
    assert merges([10, 500, 500], outdated=[1]) == [[0, 1]]


def test_files_of_other_formats_are_left_alone() -> None:
    assert plan(table([1, 1, 1], suffix=".jsonl"), RULES) == []


@given(st.lists(st.integers(1, 150), max_size=40), st.integers(2, 5), st.booleans())
def test_merges_take_small_neighbours_once_and_in_order(sizes: list[int], min_files: int, thorough: bool) -> None:
    rules = Rules(100, 300, min_files, thorough)
    found = merges(sizes, rules)
    taken = [number for merge in found for number in merge]
    assert taken == sorted(set(taken))
    for merge in found:
        assert merge == list(range(merge[0], merge[-1] + 1))
        assert len(merge) >= min_files
        assert all(sizes[number] < 100 for number in merge)
        assert sum(sizes[number] for number in merge[:-1]) < 300


@given(st.integers(50, 400))
def test_rows_are_rewritten_a_few_times_as_files_keep_coming(files: int) -> None:
    """One byte a file, a look after each: the work is a small multiple of the bytes, not their square."""
    rules = Rules(below_bytes=1000, to_bytes=1000, min_files=4, thorough=False)
    sizes: list[int] = []
    written = 0
    for _ in range(files):
        sizes.append(1)
        for merge in reversed(merges(sizes, rules)):
            total = sum(sizes[merge[0] : merge[-1] + 1])
            written += total
            sizes[merge[0] : merge[-1] + 1] = [total]
    assert written <= files * 10
    assert len(sizes) <= 20
