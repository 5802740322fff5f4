"""Which objects are read, when, and what becomes of them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from landing import Landing

from ingest.errors import ConnectorError


def test_unfinished_and_hidden_objects_are_passed_over(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    for name in ("_ingest/a.txt", "_temporary/0/b.txt", ".hidden.txt", "c.txt.tmp", "d.txt._COPYING_", "e.txt.part"):
        landing.put(name, "no\n")
    landing.put("year=2026/f.txt", "yes\n")
    assert landing.settle() == ["yes"]


def test_tables_of_sinks_and_hubs_are_passed_over_and_told_once(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    for name in ("lake/_ingest/site~lake/m.json", "lake/day=1/a.txt", "hub/meta.properties", "hub/t-0/0.log"):
        landing.put(name, "own\n")
    landing.put("a.txt", "yes\n")
    assert landing.settle(10_000) == ["yes"]
    assert len([said for said in landing.reports if "passed over" in said]) == 2


def test_a_table_that_is_named_itself_is_read(tmp_path: Path) -> None:
    landing = Landing(tmp_path, url="in/lake")
    landing.put("lake/_ingest/site~lake/m.json", "no\n")
    landing.put("lake/day=1/a.txt", "yes\n")
    assert landing.settle() == ["yes"]


def test_patterns_choose_and_leave_out(tmp_path: Path) -> None:
    landing = Landing(tmp_path, pattern=["**/*.txt", "top.log"], exclude=["old/**"])
    for name in ("a/b/c.txt", "d.txt", "top.log", "a/top.log", "old/e.txt"):
        landing.put(name, f"{name}\n")
    assert sorted(landing.settle()) == ["a/b/c.txt", "d.txt", "top.log"]


def test_one_file_may_be_the_whole_place(tmp_path: Path) -> None:
    landing = Landing(tmp_path, url="in/only.txt")
    landing.put("only.txt", "1\n2\n")
    landing.put("other.txt", "3\n")
    assert landing.settle() == ["1", "2"]


@pytest.mark.parametrize(("order", "expected"), [("modified", ["b", "a"]), ("name", ["a", "b"])])
def test_objects_come_in_the_order_that_is_asked_for(order: str, expected: list[str], tmp_path: Path) -> None:
    landing = Landing(tmp_path, order=order)
    landing.put("a.txt", "a\n", age_ms=10_000)
    landing.put("b.txt", "b\n", age_ms=20_000)
    assert landing.settle() == expected


def test_an_object_is_left_alone_until_it_is_old_enough(tmp_path: Path) -> None:
    landing = Landing(tmp_path, min_age="30s")
    landing.put("a.txt", "half", age_ms=0)
    landing.settle(20_000)
    landing.put("a.txt", "half and half\n", age_ms=0)
    assert landing.settle(20_000) == []
    assert landing.settle(20_000) == ["half and half"]


def test_an_object_from_the_future_is_read_once_it_rests(tmp_path: Path) -> None:
    landing = Landing(tmp_path, min_age="30s")
    landing.put("a.txt", "ahead\n", age_ms=-86_400_000)
    assert landing.settle(20_000) == []
    assert landing.settle(20_000) == ["ahead"]


def test_catching_up_waits_for_the_young_and_not_for_the_late(tmp_path: Path) -> None:
    landing = Landing(tmp_path, until=True, min_age="30s")
    landing.put("a.txt", "young\n", age_ms=0)
    landing.poll()
    landing.put("b.txt", "late\n")
    assert landing.drain() == ["young"]
    assert landing.drain() == ["young", "late"]


def test_a_late_object_with_an_old_time_is_read(tmp_path: Path) -> None:
    """No watermark decides what is new: ``cp -p`` and ``rsync -t`` keep times."""
    landing = Landing(tmp_path)
    landing.put("new.txt", "new\n", age_ms=10_000)
    landing.settle()
    landing.put("old.txt", "old\n", age_ms=400 * 86_400_000)
    assert landing.settle() == ["new", "old"]


@pytest.mark.parametrize(
    ("policy", "lines", "errors"), [("report", ["1"], 1), ("reread", ["1", "1", "2"], 0), ("ignore", ["1"], 0)]
)
def test_an_object_that_is_overwritten_afterwards(policy: str, lines: list[str], errors: int, tmp_path: Path) -> None:
    landing = Landing(tmp_path, changed=policy)
    landing.put("a.txt", "1\n")
    landing.settle()
    landing.put("a.txt", "1\n2\n")
    landing.settle()
    landing.stop()
    assert landing.settle() == lines
    assert landing.errors == ["ObjectChanged"] * errors
    assert [value.endswith(b"/in/a.txt") for value in landing.dead_lines] == [True] * errors


@pytest.mark.parametrize(("policy", "errors"), [("report", 1), ("reread", 0), ("ignore", 0)])
def test_an_object_that_is_overwritten_while_nobody_looks(policy: str, errors: int, tmp_path: Path) -> None:
    landing = Landing(tmp_path, changed=policy, batch_bytes=100)
    landing.put("a.txt", "".join(f"first {number:03}\n" for number in range(100)))
    landing.poll()
    landing.stop()
    read = len(landing.lines)
    assert 0 < read < 100
    landing.put("a.txt", "second\n")
    landing.settle()
    assert landing.lines[read:] == (["second"] if policy == "reread" else [])
    assert landing.errors == ["ObjectChanged"] * errors
    assert policy != "ignore" or any("overwritten while" in said for said in landing.reports)


def test_an_object_that_vanishes_before_its_end_is_told_of(tmp_path: Path) -> None:
    landing = Landing(tmp_path, batch_bytes=100)
    path = landing.put("a.txt", "".join(f"{number:03}\n" for number in range(100)))
    landing.put("b.txt", "other\n", age_ms=10_000)
    landing.poll()
    landing.stop()
    path.unlink()
    assert landing.settle()[-1] == "other"
    assert landing.errors == ["ObjectGone"]
    assert "'at': 1" in landing.reasons[0]
    assert "a.txt" not in landing.positions


def test_one_that_vanishes_before_it_is_begun_is_no_loss(tmp_path: Path) -> None:
    landing = Landing(tmp_path, batch_bytes=50)
    landing.put("a.txt", "x\n" * 100, age_ms=90_000)
    gone = landing.put("b.txt", "never seen\n")
    landing.poll()
    gone.unlink()
    assert set(landing.settle()) == {"x"}
    assert not landing.dead
    assert any("gone before" in said for said in landing.reports)


def test_nothing_is_deleted_before_it_is_committed(tmp_path: Path) -> None:
    landing = Landing(tmp_path, after="delete")
    path = landing.put("a.txt", "1\n2\n")
    polled = landing.poll_uncommitted()
    assert polled is not None
    assert path.exists()
    landing.commit(polled)
    landing.task.committed(polled.positions)
    assert not path.exists()
    landing.settle()
    assert not any(stream.startswith(".done") for stream in landing.positions)


def test_a_crash_before_an_object_is_deleted_is_made_up_for(tmp_path: Path) -> None:
    landing = Landing(tmp_path, after="delete")
    path = landing.put("a.txt", "1\n2\n")
    polled = landing.poll_uncommitted()
    assert polled is not None
    landing.commit(polled)
    landing.stop()
    assert landing.settle() == ["1", "2"]
    assert not path.exists()


def test_a_stop_does_not_wait_for_all_to_be_put_away(tmp_path: Path) -> None:
    landing = Landing(tmp_path, after="delete")
    for name in ("a.txt", "b.txt"):
        landing.put(name, "x\n")
    polled = landing.poll_uncommitted()
    assert polled is not None
    landing.commit(polled)
    landing.context.stopping.set()
    landing.task.committed(polled.positions)
    assert len(list((tmp_path / "in").iterdir())) == 2
    landing.stop()
    assert landing.settle() == ["x", "x"]
    assert not list((tmp_path / "in").iterdir())


def test_a_name_is_used_again_after_its_object_was_put_away(tmp_path: Path) -> None:
    landing = Landing(tmp_path, after="move", move_to="done")
    for content in ("1\n", "2\n", "3\n"):
        landing.put("daily/export.txt", content)
        landing.settle()
    assert landing.lines == ["1", "2", "3"]
    assert not landing.dead
    done = sorted((tmp_path / "done").rglob("*.txt*"))
    assert [path.read_text() for path in done] == ["1\n", "2\n", "3\n"]


def test_what_could_not_be_read_is_never_deleted(tmp_path: Path) -> None:
    landing = Landing(tmp_path, after="delete")
    bad = landing.put("a.parquet", "none")
    changed = landing.put("b.txt", "1\n")
    polled = landing.poll_uncommitted()
    assert polled is not None
    landing.put("b.txt", "1\n2\n")
    landing.commit(polled)
    landing.task.committed(polled.positions)
    landing.settle()
    landing.stop()
    landing.settle()
    assert bad.exists()
    assert changed.read_text() == "1\n2\n"
    assert sorted(landing.errors) == ["ObjectChanged", "ObjectUnreadable"]


def test_an_object_that_tells_no_format_is_a_dead_letter(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    landing.put("a.bin", "?")
    landing.put("b.txt", "b\n")
    assert landing.settle() == ["b"]
    assert landing.errors == ["ObjectUnreadable"]


def test_empty_objects_are_done_without_a_record(tmp_path: Path) -> None:
    landing = Landing(tmp_path, until=True)
    for name in ("a.txt", "b.csv", "c.jsonl", "d.csv.gz"):
        landing.put(name, b"")
    landing.put("e.csv", "only,a,header\n")
    landing.put("f.jsonl", "\n\n")
    assert landing.drain() == []
    assert not landing.dead
    assert landing.drain() == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    landing = Landing(tmp_path, until=True)
    landing.put("a.txt", "a\n").chmod(0)
    landing.put("b.txt", "b\n")
    with pytest.raises(ConnectorError, match=r"a\.txt"):
        landing.drain()
    assert landing.lines == ["b"]


def test_a_place_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    landing = Landing(tmp_path, url="later")
    assert landing.settle() == []
    assert any("not there" in said for said in landing.reports)
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "a.txt").write_text("a\n")
    landing.clock.advance(60_000)
    assert landing.settle() == ["a"]
    until = Landing(tmp_path, url="never", until=True)
    with pytest.raises(ConnectorError, match="never"):
        until.drain()


# -- a store that changes its mind


class Moody(MemoryFileSystem):
    """Objects that may not be read for now, or that are gone once somebody reads them."""

    protocol = "moody"
    denied: ClassVar[set[str]] = set()
    gone: ClassVar[set[str]] = set()

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("moody://")))

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if path in self.denied:
            raise PermissionError(path)
        file = super()._open(path, mode, **options)
        return Vanishing(file, path) if mode == "rb" else file


class Vanishing(io.RawIOBase):
    def __init__(self, file: Any, path: str) -> None:
        self.file, self.path = file, path
        file.seek(0)

    def read(self, size: int = -1) -> bytes:
        if self.path in Moody.gone:
            raise FileNotFoundError(self.path)
        return self.file.read(size)

    def seek(self, place: int, whence: int = 0) -> int:
        return self.file.seek(place, whence)


@pytest.fixture
def moody() -> Iterator[Moody]:
    fsspec.register_implementation("moody", Moody, clobber=True)
    store = Moody()
    yield store
    store.rm("/in", recursive=True)
    Moody.denied.clear()
    Moody.gone.clear()


TEXT = "".join(f"{number:03}\n" for number in range(100))


def test_an_object_that_may_not_be_read_for_a_while_goes_on_where_it_was(moody: Moody, tmp_path: Path) -> None:
    landing = Landing(tmp_path, url="moody://in", min_age=0, batch_bytes=100)
    moody.pipe_file("/in/a.txt", TEXT.encode())
    landing.poll()
    landing.stop()
    Moody.denied.add("/in/a.txt")
    assert 0 < len(landing.settle()) < 100
    Moody.denied.clear()
    assert landing.settle() == TEXT.split()
    assert any("a.txt" in said for said in landing.reports)


def test_an_object_that_vanishes_while_it_is_read_is_told_of_and_the_others_are_read(
    moody: Moody, tmp_path: Path
) -> None:
    landing = Landing(tmp_path, url="moody://in", min_age=0, batch_bytes=100, order="name")
    moody.pipe_file("/in/a.txt", TEXT.encode())
    moody.pipe_file("/in/b.txt", b"other\n")
    landing.poll()
    Moody.gone.add("/in/a.txt")
    moody.rm_file("/in/a.txt")
    assert landing.settle()[-1] == "other"
    assert landing.errors == ["ObjectGone"]
    assert "a.txt" not in landing.positions
