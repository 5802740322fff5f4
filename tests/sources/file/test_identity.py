"""A file is its content: what makes two files one stream, and what does not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tailing import Tail, append, numbered

WAIT_MS = 5_000
HEADER = ["#Software: example", "#Fields: date time path status"] + [f"#Remark: {n}" for n in range(60)]


def test_files_that_merely_begin_alike_are_read_at_once(tail: Tail, tmp_path: Path) -> None:
    append(tmp_path / "a.log", *HEADER, *numbered(0, 10))
    append(tmp_path / "b.log", *HEADER, *numbered(10, 20))
    assert sorted(tail.settle()) == sorted([*HEADER, *HEADER, *numbered(0, 20)])


def test_truncated_and_grown_again_under_the_same_header(tail: Tail, tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    append(log, *HEADER, *numbered(0, 10))
    tail.settle()
    os.truncate(log, 0)
    append(log, *HEADER, *numbered(10, 100))
    assert tail.settle(WAIT_MS) == [*HEADER, *numbered(0, 10), *HEADER, *numbered(10, 100)]


def test_truncated_and_grown_again_while_nobody_looked(tail: Tail, tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    append(log, *HEADER, *numbered(0, 10))
    tail.settle()
    tail.stop()
    os.truncate(log, 0)
    append(log, *HEADER, *numbered(10, 100))
    assert tail.settle(WAIT_MS) == [*HEADER, *numbered(0, 10), *HEADER, *numbered(10, 100)]


def test_what_is_written_after_a_truncation_that_was_seen_is_new(tail: Tail, tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    append(log, *numbered(0, 60))
    tail.settle()
    os.truncate(log, 0)
    tail.settle()
    append(log, *numbered(0, 60))
    assert tail.settle(WAIT_MS) == numbered(0, 60) * 2


def test_a_new_run_of_a_job_that_logs_the_same_first_line_is_new(tail: Tail, tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    append(log, "job started")
    tail.settle()
    log.unlink()
    tail.settle(2 * WAIT_MS)
    append(log, "job started", "job done")
    assert tail.settle(2 * WAIT_MS) == ["job started", "job started", "job done"]


def test_a_log_begun_anew_with_the_banner_of_the_one_that_was_moved_away(
    new_tail: Callable[..., Tail], tmp_path: Path
) -> None:
    tail = new_tail("x.log")
    append(tmp_path / "x.log", "server starts")
    tail.settle()
    (tmp_path / "x.log").rename(tmp_path / "x.log.1")
    append(tmp_path / "x.log", "server starts", "ready")
    assert tail.settle(3 * WAIT_MS) == ["server starts", "server starts", "ready"]


def test_short_content_still_moves_with_its_inode(tail: Tail, tmp_path: Path) -> None:
    append(tmp_path / "x.log", "a")
    tail.settle()
    (tmp_path / "x.log").rename(tmp_path / "quite-another-name")
    append(tmp_path / "quite-another-name", "b")
    assert tail.settle(WAIT_MS) == ["a", "b"]


def test_the_longest_of_several_vanished_beginnings_is_continued(tail: Tail, tmp_path: Path) -> None:
    append(tmp_path / "a.log", *numbered(0, 40))
    append(tmp_path / "b.log", *numbered(0, 40))
    tail.settle(2 * WAIT_MS)
    append(tmp_path / "b.log", *numbered(40, 80))
    tail.settle()
    tail.stop()
    shutil.copy(tmp_path / "b.log", tmp_path / "c.log")
    (tmp_path / "a.log").unlink()
    (tmp_path / "b.log").unlink()
    append(tmp_path / "c.log", *numbered(80, 90))
    assert tail.settle(2 * WAIT_MS) == numbered(0, 40) * 2 + numbered(40, 90)


def test_hard_and_symbolic_links_to_one_file_are_one_file(tail: Tail, tmp_path: Path) -> None:
    append(tmp_path / "x.log", *numbered(0, 10))
    os.link(tmp_path / "x.log", tmp_path / "hard.log")
    (tmp_path / "soft.log").symlink_to("x.log")
    (tmp_path / "broken.log").symlink_to("nowhere")
    assert tail.settle(2 * WAIT_MS) == numbered(0, 10)


def test_symbolic_link_that_moves_on_leads_to_the_next_file(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail("current.log")
    append(tmp_path / "1.txt", *numbered(0, 10))
    (tmp_path / "current.log").symlink_to("1.txt")
    tail.settle()
    append(tmp_path / "1.txt", *numbered(10, 20))
    append(tmp_path / "2.txt", *numbered(20, 30))
    (tmp_path / "new").symlink_to("2.txt")
    (tmp_path / "new").replace(tmp_path / "current.log")
    assert sorted(tail.settle(2 * WAIT_MS)) == numbered(0, 30)


def test_another_device_number_after_a_reboot_changes_nothing(tail: Tail, tmp_path: Path) -> None:
    append(tmp_path / "x.log", *numbered(0, 40))
    append(tmp_path / "y.log", "short")
    tail.settle()
    tail.stop()
    tail.positions = {name: {**place, "device": 1, "inode": 1} for name, place in tail.positions.items()}
    append(tmp_path / "x.log", *numbered(40, 50))
    assert sorted(tail.settle(2 * WAIT_MS)) == [*numbered(0, 50), "short"]


def test_vanished_file_is_forgotten_after_a_while(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail(forget_after="1h")
    append(tmp_path / "x.log", *numbered(0, 10))
    tail.settle()
    (tmp_path / "x.log").unlink()
    tail.settle(2 * WAIT_MS)
    (position,) = tail.positions.values()
    assert position["lost_ms"] is not None
    tail.clock.advance(3_700_000)
    tail.settle()
    assert tail.positions == {}


def test_lost_file_found_again_under_its_own_inode(tail: Tail, tmp_path: Path) -> None:
    """A folder that was out of sight for a while, an unmounted disk."""
    logs, away = tmp_path / "logs", tmp_path / "away"
    logs.mkdir()
    tail.settings = tail.settings.model_copy(update={"paths": ["logs/*"]})
    append(logs / "x.log", *numbered(0, 40))
    append(logs / "tiny", "t")
    tail.settle()
    logs.rename(away)
    tail.settle(2 * WAIT_MS)
    away.rename(logs)
    append(logs / "x.log", *numbered(40, 50))
    assert sorted(tail.settle(2 * WAIT_MS)) == [*numbered(0, 50), "t"]


def test_a_growing_log_does_not_wait_for_one_that_is_gone_and_began_alike(tail: Tail, tmp_path: Path) -> None:
    append(tmp_path / "x.log", *HEADER, *numbered(0, 100))
    tail.settle()
    (tmp_path / "x.log").unlink()
    tail.settle(2 * WAIT_MS)
    before = len(tail.lines)
    for number in range(70):
        append(tmp_path / "y.log", HEADER[number] if number < len(HEADER) else f"other {number}")
        tail.clock.advance(100)
        tail.poll()
    assert tail.lines[before:] == [*HEADER, *(f"other {number}" for number in range(len(HEADER), 70))]


def test_content_that_is_replaced_between_the_look_and_the_read(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail(batch_bytes=500)
    log = tmp_path / "x.log"
    append(log, *numbered(0, 100))
    tail.poll()
    delivered = list(tail.lines)
    log.write_text("".join(f"{line}\n" for line in numbered(100, 200)))
    tail.poll()  # no time has passed: it does not look again before it reads
    assert tail.settle(WAIT_MS) == delivered + numbered(100, 200)
