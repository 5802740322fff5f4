"""``--until-caught-up``: files to their end as it was when reached, then ``EndOfInput``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tailing import Tail, append, numbered

from ingest.connectors import EndOfInput


@pytest.fixture
def run(new_tail: Callable[..., Tail]) -> Tail:
    return new_tail(until=True)


def test_all_files_are_read_to_their_end(run: Tail, tmp_path: Path) -> None:
    append(tmp_path / "a.log", *numbered(0, 10))
    append(tmp_path / "b.log", *numbered(10, 20))
    (tmp_path / "empty.log").touch()
    assert sorted(run.drain()) == numbered(0, 20)


def test_a_last_line_of_an_old_file_is_delivered_at_once(run: Tail, tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text("one\ntwo")
    os.utime(tmp_path / "x.log", (1_000_000_000, 1_000_000_000))
    assert run.drain() == ["one", "two"]
    assert run.clock.monotonic_ms() < 500


def test_a_last_line_without_its_end_is_delivered_if_the_file_is_quiet_for_a_second(run: Tail, tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text("one\ntwo")
    assert run.drain() == ["one", "two"]


def test_a_last_line_without_its_end_is_held_if_the_file_grows(run: Tail, tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text("one\ntw")
    os.utime(tmp_path / "x.log", ns=(run.clock.now_ms() * 1_000_000,) * 2)
    run.poll()
    run.clock.advance(300)
    with (tmp_path / "x.log").open("a") as file:
        file.write("o")
    assert run.drain() == ["one"]
    append(tmp_path / "x.log", "", "three")
    assert run.drain() == ["one", "two", "three"]


def test_the_line_end_of_a_delivered_last_line_is_no_record_later(run: Tail, tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text("one\ntwo")
    assert run.drain() == ["one", "two"]
    with (tmp_path / "x.log").open("a") as file:
        file.write("\r\nthree\n")
    assert run.drain() == ["one", "two", "three"]


def test_a_file_that_never_stops_growing_does_not_keep_the_run_from_ending(
    new_tail: Callable[..., Tail], tmp_path: Path
) -> None:
    run = new_tail(until=True, batch_bytes=200)
    append(tmp_path / "x.log", *numbered(0, 20))
    number = 20
    for _ in range(1_000):
        append(tmp_path / "x.log", *numbered(number, number + 20))
        number += 20
        run.clock.advance(100)
        try:
            run.poll()
        except EndOfInput:
            break
    else:
        raise AssertionError("never caught up")
    assert run.lines[:20] == numbered(0, 20)


def test_files_that_appear_later_are_left_to_the_next_run(run: Tail, tmp_path: Path) -> None:
    append(tmp_path / "a.log", *numbered(0, 10))
    run.poll()
    append(tmp_path / "b.log", *numbered(10, 20))
    assert run.drain() == numbered(0, 10)
    assert run.drain() == numbered(0, 20)


def test_a_copy_is_judged_before_the_run_ends(run: Tail, tmp_path: Path) -> None:
    append(tmp_path / "a.log", *numbered(0, 50))
    run.drain()
    shutil.copy(tmp_path / "a.log", tmp_path / "a.log.1")
    os.truncate(tmp_path / "a.log", 0)
    append(tmp_path / "a.log", *numbered(50, 60))
    assert run.drain() == numbered(0, 60)


def test_nothing_at_all(run: Tail) -> None:
    assert run.drain() == []
