"""How many bytes the source says are left to read."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

from tailing import Tail, append, numbered


def lag(tail: Tail) -> int:
    told = tail.task.lag()
    assert told is not None
    assert set(told) == {"bytes"}
    return told["bytes"]


def test_what_is_not_read_yet_is_behind(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    append(tmp_path / "a.log", *numbered(0, 3_000))
    append(tmp_path / "b.log", *numbered(0, 3_000, of="other"))
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    tail = new_tail(batch_bytes=16_384)
    seen = []
    while len(tail.lines) < 6_000:
        tail.poll()
        seen.append(lag(tail))
    assert seen == sorted(seen, reverse=True)
    assert size > seen[0] > size - 3 * 16_384
    assert seen[-1] == 0


def test_a_file_that_grows_is_behind_until_it_is_read(tail: Tail, tmp_path: Path) -> None:
    append(tmp_path / "a.log", "one")
    tail.settle()
    assert lag(tail) == 0
    with (tmp_path / "a.log").open("a") as file:
        file.write("no end yet")
    tail.settle()
    assert lag(tail) == len("no end yet"), "an unfinished line is held back"


def test_a_restarted_source_is_behind_by_what_came_meanwhile(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    append(tmp_path / "a.log", *numbered(0, 3_000))
    tail = new_tail(batch_bytes=16_384)
    tail.settle()
    tail.stop()
    append(tmp_path / "a.log", *numbered(3_000, 6_000))
    size = (tmp_path / "a.log").stat().st_size
    polled = tail.poll()
    assert polled is not None
    assert size / 2 - 2 * 16_384 < lag(tail) < size / 2
    tail.settle()
    assert lag(tail) == 0


def test_what_is_passed_over_by_choice_is_not_behind(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    append(tmp_path / "a.log", *numbered(0, 100))
    tail = new_tail(start_at="end")
    tail.settle()
    assert (tail.lines, lag(tail)) == ([], 0)


def test_a_compressed_file_counts_as_it_lies_on_disk(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    packed = gzip.compress("".join(f"{line}\n" for line in numbered(0, 60_000)).encode(), mtime=0)
    (tmp_path / "a.gz").write_bytes(packed)
    tail = new_tail(batch_bytes=64 * 1024)
    seen = []
    while len(tail.lines) < 60_000:
        tail.poll()
        seen.append(lag(tail))
    assert max(seen) <= len(packed)
    assert seen == sorted(seen, reverse=True)
    tail.settle()
    assert lag(tail) == 0


def test_a_vanished_file_is_not_behind(tail: Tail, tmp_path: Path) -> None:
    append(tmp_path / "a.log", "one")
    tail.settle()
    (tmp_path / "a.log").unlink()
    tail.settle(10_000)
    assert lag(tail) == 0
