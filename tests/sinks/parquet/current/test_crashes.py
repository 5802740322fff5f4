"""A commit that is cut off at each of its steps: readers see rows of before or of after it, never both."""

from __future__ import annotations

import contextlib
import glob
import threading
from pathlib import Path
from typing import NoReturn

import pyarrow.parquet as pq
import pytest
from current_rows import Change, CurrentTable, apply, commit, put, records_of_changes, row
from lake import FAIL_POINTS
from powercut import PowerCutDisk

from ingest.connectors.testing import Crash
from ingest.errors import SinkFenced
from ingest.sinks.lake.checking import check_table
from ingest.sinks.lake.reading import open_dataset

POINTS = [*FAIL_POINTS[2:], "lake.hide.file", "lake.hidden"]
OLD = dict.fromkeys(range(60), "old")
NEW = {number: "new" for number in range(60) if number % 3} | {100: "new"}
CHANGES: list[Change] = [
    ("d", row(number, None), None) if number % 3 == 0 else ("u", None, row(number, "new")) for number in range(60)
]


def crash() -> NoReturn:
    raise Crash


def by_manifest(table: CurrentTable) -> dict[int, str]:
    rows = open_dataset("lake", table.folder).to_table().to_pylist()
    assert len({found["id"] for found in rows}) == len(rows)
    return {found["id"]: found["word"] for found in rows}


def is_part_of(words: dict[int, str | None], state: dict[int, str]) -> bool:
    return all(number in state and state[number] == word for number, word in words.items())


@pytest.mark.parametrize("count", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("spare", [None, pytest.param(0.0, marks=pytest.mark.slow), 0.5])
@pytest.mark.parametrize("point", POINTS)
def test_a_kill_or_a_power_cut_leaves_the_state_before_or_after(
    tmp_path: Path, point: str, spare: float | None, count: int
) -> None:
    disk = PowerCutDisk(tmp_path, spare=spare or 0.0, ordered=False)
    table = CurrentTable(tmp_path, {"roll": {"rows": 20}}, disk=disk)
    task = table.open()
    at = apply(task, 0, *[("c", None, row(number, "old")) for number in range(60)])
    put(task, at, records_of_changes(*CHANGES, ("c", None, row(100, "new"))))
    table.fail.arm(point, crash, count=count)
    with contextlib.suppress(Crash):
        task.flush(force=True)
    table.fail._armed.clear()
    if spare is not None:
        disk.cut()
    seen = table.words()
    assert is_part_of(seen, OLD) or is_part_of(seen, NEW)
    assert by_manifest(table) in (OLD, NEW)
    opened = table.open()
    assert table.words() in (OLD, NEW)
    assert table.words() == by_manifest(table)
    if table.words() == OLD:
        put(opened, at, records_of_changes(*CHANGES, ("c", None, row(100, "new"))))
        commit(opened)
    assert table.words() == by_manifest(table) == NEW
    assert [each for each in check_table("lake", tmp_path, repair=False) if each.severity == "error"] == []


def test_a_writer_that_wakes_up_after_its_files_were_rewritten_by_another_stops(tmp_path: Path) -> None:
    table = CurrentTable(tmp_path)
    task = table.open()
    at = apply(task, 0, ("c", None, row(1, "a")))

    def another_goes_on() -> None:
        other = table.open()
        other.next_flush_ms()
        apply(other, end, ("u", None, row(1, "c")))

    end = put(task, at, records_of_changes(("u", None, row(1, "b"))))
    table.fail.arm("lake.manifest.put", another_goes_on)
    with pytest.raises(SinkFenced):
        task.flush(force=True)
    assert table.words() == {1: "c"}


def test_who_globs_during_commits_sees_no_key_twice_and_no_half_file(tmp_path: Path) -> None:
    table = CurrentTable(tmp_path, {"roll": {"rows": 10}})
    done, looks, wrong = threading.Event(), [0], []

    def look() -> None:
        while not done.is_set():
            seen: list[int] = []
            with contextlib.suppress(FileNotFoundError), contextlib.ExitStack() as stack:
                # all are opened before one is read, as a reader that lists and opens does
                files = [stack.enter_context(open(path, "rb")) for path in glob.glob(f"{table.root}/*.parquet")]
                for file in files:
                    seen += pq.ParquetFile(file).read()["id"].to_pylist()
                looks[0] += 1
            if len(seen) != len(set(seen)):
                wrong.append(len(seen) - len(set(seen)))

    reader = threading.Thread(target=look)
    with table.opened() as task:
        at = apply(task, 0, *[("c", None, row(number, "0")) for number in range(60)])
        reader.start()
        try:
            for turn in range(12):
                at = apply(task, at, *[("u", None, row(number, str(turn))) for number in range(turn, 60, 7)])
        finally:
            done.set()
            reader.join()
    assert not wrong
    assert looks[0]
    assert len(table.words()) == 60
