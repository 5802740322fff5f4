"""Rotation in every way that programs and people do it: no line lost, none twice."""

from __future__ import annotations

import bz2
import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tailing import Tail, append, numbered

from ingest.sources.file.decompress import compression_of

WAIT_MS = 5_000
FIRST, SECOND, THIRD = numbered(0, 50), numbered(50, 100), numbered(100, 150)


def compress(source: Path, target: Path, how: str) -> None:
    """As gzip does it: the copy is there before the original goes, and has its times."""
    data = source.read_bytes()
    if how == "gzip":
        target.write_bytes(gzip.compress(data))
    elif how == "bz2":
        target.write_bytes(bz2.compress(data))
    else:
        from backports import zstd

        target.write_bytes(zstd.compress(data))
    assert compression_of(target.read_bytes()[:4]) == how
    status = source.stat()
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    source.unlink()


def copy_truncate(log: Path, copy: Path) -> None:
    shutil.copy2(log, copy)
    os.truncate(log, 0)


def test_renamed_file_is_not_read_again(tail: Tail, tmp_path: Path) -> None:
    append(tmp_path / "x.log", *FIRST)
    tail.settle()
    (tmp_path / "x.log").rename(tmp_path / "x.log.1")
    append(tmp_path / "x.log", *SECOND)
    assert tail.settle(WAIT_MS) == FIRST + SECOND


def test_tail_written_after_the_rename_is_read(tail: Tail, tmp_path: Path) -> None:
    append(tmp_path / "x.log", *FIRST)
    tail.settle()
    (tmp_path / "x.log").rename(tmp_path / "x.log.1")
    append(tmp_path / "x.log.1", *SECOND)
    append(tmp_path / "x.log", *THIRD)
    assert tail.settle(WAIT_MS) == FIRST + SECOND + THIRD


def test_tail_of_a_file_renamed_out_of_sight_is_read(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail("x.log")
    append(tmp_path / "x.log", *FIRST)
    tail.settle()
    append(tmp_path / "x.log", *SECOND[:20])
    (tmp_path / "x.log").rename(tmp_path / "x.log.1")
    tail.settle(1_000)
    append(tmp_path / "x.log.1", *SECOND[20:])
    append(tmp_path / "x.log", *THIRD)
    assert sorted(tail.settle(WAIT_MS)) == FIRST + SECOND + THIRD


def test_tail_of_a_deleted_file_is_read(tail: Tail, tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    append(log, *FIRST)
    tail.settle()
    with log.open("a") as held:
        log.unlink()
        tail.settle(1_000)
        held.writelines(f"{line}\n" for line in SECOND)
    assert tail.settle(WAIT_MS) == FIRST + SECOND


def test_last_line_without_its_end_comes_when_the_file_is_rotated_away(tail: Tail, tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    append(log, *FIRST)
    with log.open("a") as file:
        file.write("no line end")
    assert tail.settle(10 * WAIT_MS) == FIRST
    log.rename(tmp_path / "x.log.1")
    append(log, *SECOND)
    assert sorted(tail.settle(2 * WAIT_MS)) == [*FIRST, *SECOND, "no line end"]


def test_last_line_without_its_end_comes_when_the_file_is_deleted(tail: Tail, tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text("one\ntwo")
    assert tail.settle(10 * WAIT_MS) == ["one"]
    (tmp_path / "x.log").unlink()
    assert tail.settle(2 * WAIT_MS) == ["one", "two"]
    tail.stop()
    assert tail.settle(2 * WAIT_MS) == ["one", "two"]


@pytest.mark.parametrize("seen_between", [True, False])
def test_copy_truncate_loses_and_doubles_nothing(tail: Tail, tmp_path: Path, seen_between: bool) -> None:
    log, copy = tmp_path / "x.log", tmp_path / "x.log.1"
    append(log, *FIRST)
    tail.settle()
    append(log, *SECOND)
    shutil.copy2(log, copy)
    if seen_between:
        tail.settle()
    os.truncate(log, 0)
    append(log, *THIRD)
    assert sorted(tail.settle(2 * WAIT_MS)) == FIRST + SECOND + THIRD


def test_copy_of_a_wholly_read_file_is_not_read_again(tail: Tail, tmp_path: Path) -> None:
    append(tmp_path / "x.log", *FIRST)
    tail.settle()
    copy_truncate(tmp_path / "x.log", tmp_path / "x.log.1")
    append(tmp_path / "x.log", *SECOND)
    assert tail.settle(2 * WAIT_MS) == FIRST + SECOND


def test_slow_copy_is_waited_for(tail: Tail, tmp_path: Path) -> None:
    log, copy = tmp_path / "x.log", tmp_path / "x.log.1"
    append(log, *FIRST, *SECOND)
    tail.settle()
    data = log.read_bytes()
    for part in range(10):
        with copy.open("ab") as file:
            file.write(data[len(data) * part // 10 : len(data) * (part + 1) // 10])
        assert tail.settle(1_000) == FIRST + SECOND
    os.truncate(log, 0)
    append(log, *THIRD)
    assert tail.settle(2 * WAIT_MS) == FIRST + SECOND + THIRD


def test_copy_that_stays_beside_its_original_is_a_file_of_its_own(tail: Tail, tmp_path: Path) -> None:
    append(tmp_path / "x.log", *FIRST)
    tail.settle()
    shutil.copy2(tmp_path / "x.log", tmp_path / "y.log")
    assert tail.settle(WAIT_MS - 1_000) == FIRST
    assert tail.settle(WAIT_MS) == FIRST + FIRST


@pytest.mark.parametrize("how", ["gzip", "bz2", "zstd"])
def test_rotated_file_that_is_compressed_later_is_not_read_again(tail: Tail, tmp_path: Path, how: str) -> None:
    append(tmp_path / "x.log", *FIRST)
    tail.settle()
    (tmp_path / "x.log").rename(tmp_path / "x.log.1")
    append(tmp_path / "x.log", *SECOND)
    tail.settle(2 * WAIT_MS)
    compress(tmp_path / "x.log.1", tmp_path / "x.log.2.packed", how)
    append(tmp_path / "x.log", *THIRD)
    assert tail.settle(3 * WAIT_MS) == FIRST + SECOND + THIRD


@pytest.mark.parametrize("how", ["gzip", "bz2", "zstd"])
def test_reading_goes_on_inside_the_compressed_file(tail: Tail, tmp_path: Path, how: str) -> None:
    append(tmp_path / "x.log", *FIRST)
    tail.settle()
    tail.stop()
    append(tmp_path / "x.log", *SECOND)
    compress(tmp_path / "x.log", tmp_path / "x.log.1.packed", how)
    append(tmp_path / "x.log", *THIRD)
    assert sorted(tail.settle(2 * WAIT_MS)) == FIRST + SECOND + THIRD


def test_chain_of_rotations_while_nobody_looked(tail: Tail, tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    append(tmp_path / "x.log.1", *numbered(0, 30))
    append(log, *numbered(30, 50))
    tail.settle()
    tail.stop()
    append(log, *numbered(50, 70))
    compress(tmp_path / "x.log.1", tmp_path / "x.log.3.gz", "gzip")
    compress(log, tmp_path / "x.log.2.gz", "gzip")
    append(tmp_path / "x.log.1", *numbered(70, 90))
    append(log, *numbered(90, 110))
    assert sorted(tail.settle(2 * WAIT_MS)) == numbered(0, 110)


def test_chain_of_copy_truncates_while_nobody_looked(tail: Tail, tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    append(log, *numbered(0, 30))
    tail.settle()
    tail.stop()
    for number, first in ((2, 30), (1, 60)):
        append(log, *numbered(first, first + 30))
        copy_truncate(log, tmp_path / f"x.log.{number}")
    append(log, *numbered(90, 120))
    assert sorted(tail.settle(2 * WAIT_MS)) == numbered(0, 120)


def test_rotation_into_another_watched_folder(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail("**/*.log*")
    (tmp_path / "old").mkdir()
    append(tmp_path / "x.log", *FIRST)
    tail.settle()
    append(tmp_path / "x.log", *SECOND)
    (tmp_path / "x.log").rename(tmp_path / "old" / "x.log")
    append(tmp_path / "x.log", *THIRD)
    assert sorted(tail.settle(2 * WAIT_MS)) == FIRST + SECOND + THIRD


@pytest.mark.parametrize("count", [1, 50])
def test_file_replaced_by_a_longer_copy_of_itself_goes_on(tail: Tail, tmp_path: Path, count: int) -> None:
    """As rsync, sed -i and editors write: a new file takes the name in one step."""
    append(tmp_path / "x.log", *FIRST[:count])
    tail.settle()
    append(tmp_path / ".x.log.new", *FIRST[:count], *SECOND)
    (tmp_path / ".x.log.new").replace(tmp_path / "x.log")
    assert tail.settle(3 * WAIT_MS) == FIRST[:count] + SECOND


def test_every_file_read_from_its_first_turn_on_is_one_stream(tail: Tail, tmp_path: Path) -> None:
    append(tmp_path / "x.log", *FIRST)
    tail.settle()
    compress(tmp_path / "x.log", tmp_path / "x.log.1.gz", "gzip")
    tail.settle(2 * WAIT_MS)
    (tmp_path / "x.log.1.gz").rename(tmp_path / "x.log.2.gz")
    tail.settle(2 * WAIT_MS)
    assert len(tail.positions) == 1
    (position,) = tail.positions.values()
    assert position["path"] == str(tmp_path / "x.log.2.gz")
    assert position["compression"] == "gzip"


def test_copy_truncate_of_a_log_that_outgrew_its_copy_before_the_next_look(tail: Tail, tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    append(log, *FIRST[:10])
    tail.settle()
    append(log, *FIRST[10:])
    copy_truncate(log, tmp_path / "x.log.1")
    append(log, *SECOND, *THIRD)
    assert sorted(tail.settle(2 * WAIT_MS)) == FIRST + SECOND + THIRD


def test_half_compressed_copy_of_a_copy_that_was_made_while_nobody_looked(tail: Tail, tmp_path: Path) -> None:
    log, copy, packed = tmp_path / "x.log", tmp_path / "x.log.1", tmp_path / "x.log.1.gz"
    append(log, *FIRST)
    tail.settle()
    tail.stop()
    copy_truncate(log, copy)
    data = gzip.compress(copy.read_bytes(), 0)
    packed.write_bytes(data[: len(data) // 2])
    tail.settle()
    packed.write_bytes(data)
    copy.unlink()
    assert tail.settle(3 * WAIT_MS) == FIRST
