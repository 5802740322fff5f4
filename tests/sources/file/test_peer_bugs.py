"""What other tailers got wrong, each as its users reported it."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tailing import Tail, append, numbered

WAIT_MS = 5_000


def test_vector_7990_gzipped_turn_is_neither_doubled_nor_left_unread(tail: Tail, tmp_path: Path) -> None:
    append(tmp_path / "x.log", *numbered(0, 40))
    tail.settle()
    append(tmp_path / "x.log", *numbered(40, 60))
    (tmp_path / "x.log.1.gz").write_bytes(gzip.compress((tmp_path / "x.log").read_bytes()))
    (tmp_path / "x.log").unlink()
    append(tmp_path / "x.log", *numbered(60, 80))
    assert sorted(tail.settle(2 * WAIT_MS)) == numbered(0, 80)
    tail.stop()
    assert sorted(tail.settle(2 * WAIT_MS)) == numbered(0, 80)


def test_vector_23619_truncated_and_rewritten_file_is_not_read_twice(tail: Tail, tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    append(log, *numbered(0, 40))
    tail.settle()
    os.truncate(log, 0)
    append(log, *numbered(40, 45))
    assert tail.settle(WAIT_MS) == numbered(0, 45)
    os.truncate(log, 0)
    append(log, *numbered(45, 145))
    assert tail.settle(WAIT_MS) == numbered(0, 145)


def test_vector_23076_new_file_is_not_missed_after_a_roll(tail: Tail, tmp_path: Path) -> None:
    expected: list[str] = []
    for roll in range(20):
        append(tmp_path / "x.log", *numbered(roll * 10, roll * 10 + 10))
        expected += numbered(roll * 10, roll * 10 + 10)
        tail.poll()
        (tmp_path / "x.log").rename(tmp_path / f"x.log.{20 - roll}")
    assert sorted(tail.settle(WAIT_MS)) == expected


def test_vector_643_and_2701_empty_and_short_files_are_told_apart_and_read(tail: Tail, tmp_path: Path) -> None:
    for name in ("a.log", "b.log", "c.log"):
        (tmp_path / name).touch()
    assert tail.settle() == []
    append(tmp_path / "a.log", "x")
    append(tmp_path / "b.log", "x")
    tail.settle(2 * WAIT_MS)
    append(tmp_path / "c.log", "xy")
    append(tmp_path / "b.log", "z")
    tail.settle(2 * WAIT_MS)
    assert [tail.lines_of(name) for name in ("a.log", "b.log", "c.log")] == [["x"], ["x", "z"], ["xy"]]


def test_fluent_bit_1108_and_2110_no_line_is_lost_when_files_rotate_under_load(
    new_tail: Callable[..., Tail], tmp_path: Path
) -> None:
    tail = new_tail("x.log", batch_bytes=512)
    log, expected = tmp_path / "x.log", []
    for roll in range(15):
        lines = numbered(roll * 100, roll * 100 + 100)
        expected += lines
        append(log, *lines)
        tail.clock.advance(100)
        tail.poll()
        log.rename(tmp_path / f"gone.{roll}")
    assert sorted(tail.settle(WAIT_MS)) == expected


def test_fluent_bit_11455_and_8025_a_new_file_in_an_old_inode_is_read_from_its_beginning(
    tail: Tail, tmp_path: Path
) -> None:
    append(tmp_path / "x.log", *numbered(0, 40))
    tail.settle()
    tail.stop()
    inode = (tmp_path / "x.log").stat().st_ino
    (tmp_path / "x.log").write_text("".join(f"{line}\n" for line in numbered(40, 140)))
    (tmp_path / "x.log").rename(tmp_path / "y.log")
    assert (tmp_path / "y.log").stat().st_ino == inode
    assert tail.settle(WAIT_MS) == numbered(0, 140)


def test_fluent_bit_2846_the_offset_does_not_advance_when_the_output_fails(tail: Tail, tmp_path: Path) -> None:
    append(tmp_path / "x.log", *numbered(0, 40))
    assert tail.poll_uncommitted() is not None
    tail.stop()
    assert tail.positions == {}
    assert tail.settle() == numbered(0, 40)


def test_fluent_bit_11265_the_offset_does_not_cover_a_line_that_is_held_back(tail: Tail, tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    append(log, "one")
    with log.open("a") as file:
        file.write("tw")
    assert tail.settle(WAIT_MS) == ["one"]
    tail.stop()
    append(log, "o")
    assert tail.settle(WAIT_MS) == ["one", "two"]


def test_fluent_bit_11416_a_position_that_was_not_stored_means_reading_again(tail: Tail, tmp_path: Path) -> None:
    append(tmp_path / "x.log", *numbered(0, 10))
    tail.settle()
    append(tmp_path / "x.log", *numbered(10, 20))
    tail.settle()  # takes note of the growth
    tail.stop()
    append(tmp_path / "x.log", *numbered(20, 30))
    for _ in range(3):
        tail.poll_uncommitted()
    tail.stop()
    assert tail.settle() == numbered(0, 30)


def test_fluent_bit_1330_a_file_that_was_rotated_while_nobody_looked_is_not_read_again(
    tail: Tail, tmp_path: Path
) -> None:
    append(tmp_path / "x.log", *numbered(0, 40))
    tail.settle()
    tail.stop()
    (tmp_path / "x.log").rename(tmp_path / "x.log.1")
    append(tmp_path / "x.log", *numbered(40, 60))
    assert tail.settle(WAIT_MS) == numbered(0, 60)


def test_flume_a_renamed_file_with_the_same_inode_is_not_read_from_zero(tail: Tail, tmp_path: Path) -> None:
    append(tmp_path / "a.log", *numbered(0, 40))
    tail.settle()
    tail.stop()
    (tmp_path / "a.log").rename(tmp_path / "b.log")
    append(tmp_path / "b.log", *numbered(40, 50))
    assert tail.settle(WAIT_MS) == numbered(0, 50)


def test_flume_a_position_beyond_the_end_does_not_repeat_what_was_copied_away(tail: Tail, tmp_path: Path) -> None:
    append(tmp_path / "x.log", *numbered(0, 40))
    tail.settle()
    tail.stop()
    shutil.copy(tmp_path / "x.log", tmp_path / "x.log.1")
    (tmp_path / "x.log").write_text("fresh\n")
    assert tail.settle(2 * WAIT_MS) == [*numbered(0, 40), "fresh"]


def test_kafka_file_stream_counted_characters_where_bytes_count(tail: Tail, tmp_path: Path) -> None:
    append(tmp_path / "x.log", "zażółć", "gęślą")
    tail.settle()
    tail.stop()
    append(tmp_path / "x.log", "jaźń €")
    assert tail.settle() == ["zażółć", "gęślą", "jaźń €"]
    assert [start for records in tail.records for start in records.positions.to_pylist()] == [0, 11, 20]
