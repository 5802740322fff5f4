"""Which files the globs name, and those that cannot be read."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tailing import Tail, append

from ingest.environment import Environment
from ingest.errors import ConnectorError
from ingest.failpoints import FailPoints
from ingest.hub.embedded import EmbeddedHub
from ingest.sources.file.connector import FileSettings, FileSource
from ingest.sources.file.discovery import Globs


def names(folder: Path, *paths: str, exclude: tuple[str, ...] = ()) -> list[str]:
    discovered = Globs(list(paths), list(exclude), folder).discover()
    return sorted(os.path.relpath(found.path, folder) for found in discovered.files.values())


def quiet() -> Environment:
    return Environment(fail=FailPoints())


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a.log", "b.txt", "[1].log", ".hidden.log", "one/a.log", "one/two/b.log", "one/two/.c/d.log"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def test_globs(tree: Path) -> None:
    assert names(tree, "*.log") == ["[1].log", "a.log"]
    assert names(tree, "**/*.log") == ["[1].log", "a.log", "one/a.log", "one/two/b.log"]
    assert names(tree, "one/**") == ["one/a.log", "one/two/b.log"]
    assert names(tree, "*/two/*") == ["one/two/b.log"]
    assert names(tree, "**/two/b.log", "a.log", "a.log") == ["a.log", "one/two/b.log"]
    assert names(tree, ".hidden*") == [".hidden.log"]
    assert names(tree, "one/two/.c/*") == ["one/two/.c/d.log"]
    assert names(tree, "[[]1].log") == ["[1].log"]
    assert names(tree, str(tree / "one" / ".." / "a.log")) == ["a.log"]
    assert names(tree, "nowhere/*", "a.log/*", "missing") == []


def test_exclusions(tree: Path) -> None:
    assert names(tree, "**/*.log", exclude=("a.*",)) == ["[1].log", "one/two/b.log"]
    assert names(tree, "**/*.log", exclude=("one/two/*",)) == ["[1].log", "a.log", "one/a.log"]
    assert names(tree, "**/*.log", exclude=("*/one/*",)) == ["[1].log", "a.log"]


def test_a_loop_of_links_ends(tree: Path) -> None:
    (tree / "one" / "again").symlink_to(tree)
    (tree / "self").symlink_to("self")
    assert names(tree, "**/*.log") == ["[1].log", "a.log", "one/a.log", "one/two/b.log"]


def test_a_folder_shows_under_its_own_name_whatever_links_lead_to_it(tree: Path) -> None:
    for link in ("0", "one/0", "zz"):
        (tree / link).symlink_to(tree / "one" / "two")
    assert names(tree, "**/b.log") == ["one/two/b.log"]
    assert names(tree, "**/b.log", exclude=("*/zz/*", "*/0/*")) == ["one/two/b.log"]


def test_links_to_each_other_and_wildcards_in_a_row_end(tree: Path) -> None:
    (tree / "one" / "up").symlink_to("..")
    (tree / "back").symlink_to("one/up/one/up")
    assert names(tree, "**/**/*.log") == names(tree, "**/*.log") == ["[1].log", "a.log", "one/a.log", "one/two/b.log"]


def test_wildcards_pass_over_the_data_of_a_hub(tree: Path) -> None:
    EmbeddedHub.open(tree / "one" / "data", quiet()).close()
    segments = list((tree / "one" / "data").glob("*/*.log"))
    assert segments, "this hub has segments, which end in .log as log files do"
    before = ["[1].log", "a.log", "one/a.log", "one/two/b.log"]
    assert names(tree, "**/*.log") == before
    assert names(tree, "one/data/*/*.log") == []
    assert names(tree, "one/*/*.log") == ["one/two/b.log"]
    assert names(tree, str(segments[0])) == [str(segments[0].relative_to(tree))]
    (tree / "link").symlink_to(segments[0].parent)
    assert names(tree, "**/*.log") == before


def test_wildcards_pass_over_a_table_that_a_sink_writes(tree: Path) -> None:
    for name in ("lake/t/rows.log", "lake/t/_ingest/p~s/1.log", "lake/t/day=1/more.log"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)
    assert names(tree, "**/*.log") == ["[1].log", "a.log", "one/a.log", "one/two/b.log"]
    assert names(tree, "lake/t/**/*.log") == ["lake/t/day=1/more.log", "lake/t/rows.log"]
    assert names(tree, "lake/t/*/*/*.log") == []


def test_a_folder_that_is_passed_over_is_told_once(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    EmbeddedHub.open(tmp_path / "data", quiet()).close()
    append(tmp_path / "x.log", "one")
    tail = new_tail("**/*.log")
    assert tail.settle(1_000) == ["one"]
    assert tail.reports == [
        f"{tmp_path}/data is left alone: it holds the data of a hub; to read it all the same, name it without a "
        "wildcard"
    ]


def test_watched_folders(tmp_path: Path) -> None:
    globs = Globs(["/var/log/*.log", "/var/log/nginx/**/*.log", "/etc/x.log"], [], tmp_path)
    assert globs.roots == {"/var/log": False, "/var/log/nginx": True, "/etc": False}


def test_folders_and_pipes_are_no_files(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    (tmp_path / "folder.log").mkdir()
    os.mkfifo(tmp_path / "pipe.log")
    append(tmp_path / "x.log", "one")
    tail = new_tail("*.log")
    assert tail.settle(1_000) == ["one"]
    assert tail.reports == [f"{tmp_path}/pipe.log is left alone: it is not a regular file"]


def test_a_pipe_that_takes_the_place_of_a_file_blocks_nobody(tail: Tail, tmp_path: Path) -> None:
    append(tmp_path / "x.log", "one")
    tail.settle()
    (tmp_path / "x.log").unlink()
    os.mkfifo(tmp_path / "x.log")
    append(tmp_path / "y.log", "two")
    assert tail.settle(10_000) == ["one", "two"]


def test_a_path_that_is_a_folder_is_told(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    tail = new_tail("logs", until=True)
    with pytest.raises(ConnectorError, match="it is a folder"):
        tail.drain()
    with pytest.raises(ConnectorError, match="it is a folder"):
        FileSource(FileSettings(paths=["logs"])).check(tmp_path)


# -- without permission

NOBODY = 65_534


@pytest.fixture
def as_nobody() -> Iterator[Callable[[], None]]:
    """Gives up the rights of root, for which every file is readable, until the test's end."""
    is_root = os.geteuid() == 0
    FileSource(FileSettings(paths=["x"])).tasks(1)  # imports what nobody may not be able to
    yield lambda: os.seteuid(NOBODY) if is_root else None
    if is_root:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may use."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def test_unreadable_file_is_told_once_retried_and_read_when_it_can_be(
    open_folder: Path, as_nobody: Callable[[], None]
) -> None:
    append(open_folder / "a.log", "one")
    append(open_folder / "b.log", "two")
    (open_folder / "b.log").chmod(0o600 if os.geteuid() == 0 else 0)
    effective = os.geteuid()
    as_nobody()
    tail = Tail(open_folder)
    assert tail.settle(1_000) == ["one"]
    assert tail.reports == [f"cannot read {open_folder}/b.log: Permission denied; it is tried again"]
    os.seteuid(effective)
    (open_folder / "b.log").chmod(0o644)
    as_nobody()
    assert tail.settle(1_000) == ["one", "two"]
    tail.stop()


def test_unreadable_file_fails_a_run_that_ends_but_only_after_the_rest_was_read(
    open_folder: Path, as_nobody: Callable[[], None]
) -> None:
    append(open_folder / "a.log", "one")
    append(open_folder / "b.log", "two")
    (open_folder / "b.log").chmod(0o600 if os.geteuid() == 0 else 0)
    as_nobody()
    tail = Tail(open_folder, until=True)
    with pytest.raises(ConnectorError, match=r"b\.log cannot be read: Permission denied"):
        tail.drain()
    assert tail.lines == ["one"]
    with pytest.raises(ConnectorError, match=r"b\.log cannot be read"):
        FileSource(FileSettings(paths=["*.log"])).check(open_folder)
    tail.stop()


def test_a_folder_that_cannot_be_listed_for_a_while_loses_no_file(
    open_folder: Path, as_nobody: Callable[[], None]
) -> None:
    logs = open_folder / "logs"
    logs.mkdir(mode=0o755)
    (logs / "x.log").write_text("one\nhalf")
    effective = os.geteuid()
    as_nobody()
    tail = Tail(open_folder, "logs/*")
    assert tail.settle() == ["one"]
    os.seteuid(effective)
    logs.chmod(0o700 if effective == 0 else 0)
    as_nobody()
    assert tail.settle(60_000) == ["one"]
    os.seteuid(effective)
    logs.chmod(0o755)
    append(logs / "x.log", " line")
    as_nobody()
    assert tail.settle(1_000) == ["one", "half line"]
    tail.stop()


def test_a_path_that_nothing_matches_is_told_once(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    append(tmp_path / "x.log", "one")
    tail = new_tail("*.log", "*.txt", "no/such.log", "no/**")
    assert tail.settle(1_000) == ["one"]
    assert tail.reports == [f"no file matches {tmp_path}/{path} yet" for path in ("*.txt", "no/such.log", "no/**")]
    append(tmp_path / "y.txt", "two")
    assert tail.settle(1_000) == ["one", "two"]
    assert len(tail.reports) == 3


def test_a_path_whose_files_are_all_excluded_matches_nothing(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    append(tmp_path / "x.log", "one")
    tail = new_tail("*.log", exclude=["x.*"])
    assert tail.settle(1_000) == []
    assert tail.reports == [f"no file matches {tmp_path}/*.log yet"]
