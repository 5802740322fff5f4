"""Oldest first, fairness between logs, and a bounded number of open files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tailing import Tail, append, numbered

from ingest.sources.file.family import are_kin, family_of, is_turned


def aged(path: Path, seconds: int) -> None:
    os.utime(path, (1_700_000_000 + seconds, 1_700_000_000 + seconds))


def test_older_turns_of_a_log_are_read_before_younger_ones(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail(batch_bytes=300)
    for age, name in enumerate(["x.log.3", "x.log.2", "x.log.1", "x.log"]):
        append(tmp_path / name, *numbered(age * 50, age * 50 + 50))
        aged(tmp_path / name, age)
    assert tail.settle() == numbered(0, 200)


def test_a_busy_log_does_not_starve_another(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail(batch_bytes=1_000)
    append(tmp_path / "busy.log", *numbered(0, 10_000))
    append(tmp_path / "quiet.log", "quiet")
    aged(tmp_path / "busy.log", 0)
    tail.poll()
    tail.poll()
    assert "quiet" in tail.lines


def test_the_oldest_file_comes_first_in_a_batch(tail: Tail, tmp_path: Path) -> None:
    for age, name in ((2, "a.log"), (1, "b.log"), (0, "c.log")):
        append(tmp_path / name, f"of {name} ................")
        aged(tmp_path / name, age)
    tail.poll()
    assert [records.origin.name[-5:] for records in tail.records] == ["c.log", "b.log", "a.log"]


def test_a_poll_stays_within_its_bound(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail(batch_bytes=5_000)
    for name in ("a.log", "b.log", "c.log"):
        append(tmp_path / name, *numbered(0, 2_000, of=name))
    while len(tail.lines) < 6_000:
        polled = tail.poll()
        if polled is not None:
            assert sum(records.value.get_total_buffer_size() for records in polled.records) < 4 * 5_000
            assert sum(len(line) + 1 for records in polled.records for line in records.value.to_pylist()) <= 5_000


def test_blank_lines_do_not_swell(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail(batch_bytes=65_536)
    (tmp_path / "x.log").write_bytes(b"\n" * 1_000_000)
    while (polled := tail.poll()) is not None:
        assert sum(records.nbytes for records in polled.records) <= 2 * 65_536
    assert len(tail.lines) == 1_000_000


def test_more_files_than_may_be_open(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail(max_open_files=10)
    for number in range(200):
        append(tmp_path / f"{number}.log", f"first of {number}, long enough to be itself")
    tail.settle()
    assert _open_files_below(tmp_path) <= 10
    for number in range(200):
        append(tmp_path / f"{number}.log", f"second of {number}")
    assert len(set(tail.settle())) == len(tail.lines) == 400
    assert _open_files_below(tmp_path) <= 10


def _open_files_below(folder: Path) -> int:
    links = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))
    return sum(os.path.realpath(link).startswith(str(folder)) for link in links)


@pytest.mark.parametrize(
    "name",
    [
        "x.log",
        "x.log.1",
        "x.log.12.gz",
        "x.log-20260131",
        "x.log-2026-01-31.zst",
        "x.log.2026-01-31-12.bz2",
        "x.log.gz",
    ],
)
def test_turns_of_a_log_are_a_family(name: str) -> None:
    assert family_of(f"/var/log/{name}") == "/var/log/x.log"
    assert is_turned(f"/var/log/{name}") == (name != "x.log")
    assert are_kin(f"/var/log/{name}", "/var/log/old/x.log")


@pytest.mark.parametrize("name", ["worker-1", "y.log", "x.log.old", ".1", "2026-01-31"])
def test_other_names_are_other_logs(name: str) -> None:
    assert family_of(f"/var/log/{name}") != "/var/log/x.log"
    assert family_of(f"/var/log/{name}") == f"/var/log/{name}"


def test_more_logs_than_fit_into_a_batch_take_turns(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail(batch_bytes=1_000)
    for number in range(20):
        append(tmp_path / f"{number}.log", *numbered(0, 1_000, of=f"log {number} "))
    for _ in range(6):
        tail.poll()
    assert {line.split()[1] for line in tail.lines} == {str(number) for number in range(20)}
