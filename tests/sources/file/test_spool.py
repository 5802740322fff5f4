"""Spool folders: whole files, each read once, put away after the hub has them on disk."""

from __future__ import annotations

import errno
import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tailing import Tail, append, numbered

from ingest.disk import SystemDisk
from ingest.failpoints import FailPoints
from ingest.sources.file.connector import FileSettings
from ingest.sources.file.settings import Spool
from ingest.sources.file.spool import Spooler

QUIET_MS = 6_000


class Killed(BaseException):
    """The process is gone."""


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def settle(tail: Tail) -> list[str]:
    tail.settle(QUIET_MS)
    return tail.settle(QUIET_MS)


def test_a_file_is_read_whole_and_renamed(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail("in/*", spool={})
    (tmp_path / "in").mkdir()
    append(tmp_path / "in" / "a.csv", *numbered(0, 100))
    (tmp_path / "in" / "b.csv").write_text("one\ntwo")
    assert settle(tail) == [*numbered(0, 100), "one", "two"]
    assert names(tmp_path / "in") == ["a.csv.done", "b.csv.done"]
    assert tail.positions == {}


def test_a_file_that_still_grows_is_left_alone(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail(spool={"after": "delete"})
    for number in range(5):
        append(tmp_path / "x", str(number))
        os.utime(tmp_path / "x", ns=(tail.clock.now_ms() * 1_000_000,) * 2)
        tail.settle(1_000)
    assert tail.lines == []
    assert settle(tail) == ["0", "1", "2", "3", "4"]
    assert names(tmp_path) == []


def test_files_are_moved_and_nothing_is_overwritten(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail("**/*.csv", spool={"after": "move", "to": "old"})
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "x.csv").write_text("an older file")
    append(tmp_path / "x.csv", "new")
    assert settle(tail) == ["new"]
    assert names(tmp_path) == ["old/x.csv", "old/x.csv.1"]
    assert (tmp_path / "old" / "x.csv").read_text() == "an older file"


def test_the_same_content_dropped_again_is_another_file(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail(spool={"after": "delete"})
    for count in range(1, 4):
        append(tmp_path / "daily.csv", *numbered(0, 100))
        assert settle(tail) == numbered(0, 100) * count
    assert names(tmp_path) == []


def test_compressed_spool_file(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail(spool={})
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"one\ntwo"))
    assert settle(tail) == ["one", "two"]
    assert names(tmp_path) == ["x.gz.done"]


def test_a_damaged_file_is_told_and_left_where_it_is(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail(spool={"after": "delete"})
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"one\n") + b"rubbish")
    assert settle(tail) == ["one"]
    assert len(tail.dead) == 1
    assert names(tmp_path) == ["x.gz"]


def test_nothing_is_put_away_before_the_hub_has_it(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail(spool={"after": "delete"}, batch_bytes=500)
    append(tmp_path / "x", *numbered(0, 100))
    tail.clock.advance(QUIET_MS)
    for _ in range(60):
        tail.poll_uncommitted()
        tail.clock.advance(100)
    tail.stop()
    assert names(tmp_path) == ["x"]
    assert settle(tail) == numbered(0, 100)
    assert names(tmp_path) == []


@pytest.mark.parametrize("after", ["rename", "move", "delete"])
@pytest.mark.parametrize("point", ["file.spool.put_away", "file.spool.named"])
def test_a_crash_while_putting_away_repeats_nothing(
    new_tail: Callable[..., Tail], tmp_path: Path, after: str, point: str
) -> None:
    def die() -> None:
        raise Killed

    spool = {"after": after, **({"to": "../old"} if after == "move" else {})}
    (tmp_path / "in").mkdir()
    tail = new_tail("in/*", spool=spool)
    append(tmp_path / "in" / "x", *numbered(0, 10))
    tail.environment.fail.arm(point, die)
    try:
        settle(tail)
    except Killed:
        tail.stop()
    assert settle(tail) == numbered(0, 10)
    expected = {"rename": ["in/x.done"], "move": [], "delete": []}[after]
    assert names(tmp_path) == expected
    assert names(tmp_path.parent / "old") == (["x"] if after == "move" else [])
    for path in (tmp_path.parent / "old").glob("*"):
        path.unlink()


def test_a_run_until_caught_up_puts_its_files_away(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail(spool={}, until=True)
    append(tmp_path / "x", "one")
    assert tail.drain() == ["one"]
    assert names(tmp_path) == ["x.done"]


def test_a_file_that_grew_after_it_was_read_is_read_on(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail(spool={"after": "delete"})
    append(tmp_path / "x", "one")
    tail.clock.advance(QUIET_MS)
    tail.settle()
    while not tail.lines:
        tail.clock.advance(QUIET_MS)
        tail.poll(tell=False)
    append(tmp_path / "x", "two")
    assert settle(tail) == ["one", "two"]
    assert names(tmp_path) == []


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("name", ["x", "x.gz"])
def test_a_file_that_grew_before_it_could_be_put_away_is_read_on(
    new_tail: Callable[..., Tail], tmp_path: Path, name: str, restarted: bool
) -> None:
    def content(text: str) -> bytes:
        return gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()

    tail = new_tail(spool={"after": "delete"})
    (tmp_path / name).write_bytes(content("one\n"))
    tail.settle()
    while not tail.lines:
        tail.clock.advance(QUIET_MS)
        tail.poll(tell=False)
    with (tmp_path / name).open("ab") as file:
        file.write(content("two\n"))
    if restarted:
        tail.stop()
    for _ in range(5):  # looks that see the file's new size, before anything is told to be committed
        tail.clock.advance(200)
        polled = tail.poll(tell=False)
        if polled is not None:
            tail.task.committed(polled.positions)
    assert settle(tail) == ["one", "two"]
    assert names(tmp_path) == []


def test_a_name_that_leads_nowhere_keeps_no_file_from_being_put_away_once(
    new_tail: Callable[..., Tail], tmp_path: Path
) -> None:
    tail = new_tail("in/*", spool={})
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.done").symlink_to(tmp_path / "nowhere")
    append(tmp_path / "in" / "x", "one")
    assert settle(tail) == ["one"]
    assert settle(tail) == ["one"]
    assert sorted(os.listdir(tmp_path / "in")) == ["x.done", "x.done.1"]


class OtherFileSystem(SystemDisk):
    """No links lead there."""

    def link(self, source: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")


@pytest.mark.parametrize("crash", [False, True])
def test_moving_to_another_file_system_copies_durably(tmp_path: Path, crash: bool) -> None:
    def die() -> None:
        raise Killed

    fail = FailPoints()
    spooler = Spooler(Spool(after="move", to="old"), tmp_path, OtherFileSystem(), fail)
    (tmp_path / "x").write_text("content")
    if crash:
        fail.arm("file.spool.named", die)
        with pytest.raises(Killed):
            spooler.put_away(tmp_path / "x")
    spooler.put_away(tmp_path / "x")
    assert names(tmp_path) == ["old/x"]
    assert (tmp_path / "old" / "x").read_text() == "content"


@pytest.mark.parametrize("wrong", [{"after": "move"}, {"to": "x"}, {"suffix": "a/b"}, {"after": "burn"}])
def test_wrong_settings_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        FileSettings.model_validate({"paths": ["x"], "spool": wrong})
