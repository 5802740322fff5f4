"""What commits together: bulk in large steps, a trickle line by line."""

from __future__ import annotations

from pathlib import Path

import pytest
from tailing import Tail, append, numbered

from ingest.connectors import EndOfInput, Polled


def polls_until_the_end(tail: Tail) -> list[Polled]:
    polls = []
    with pytest.raises(EndOfInput):
        while True:
            polled = tail.poll()
            if polled is not None:
                polls.append(polled)
    return polls


def test_batches_that_lie_ready_are_one_step_up_to_a_bound(tmp_path: Path, new_tail) -> None:
    append(tmp_path / "a.log", *numbered(0, 5_000))

    polls = polls_until_the_end(tail := new_tail(batch_bytes=10_000, until=True))

    steps = "".join("+" if polled.open else "." for polled in polls).split(".")
    assert steps[-1] == "", "the source ends between steps"
    assert all(1 <= len(step) <= 3 for step in steps[:-2])
    assert tail.lines == numbered(0, 5_000)


def test_last_batch_that_lies_ready_ends_the_step(tmp_path: Path, new_tail) -> None:
    append(tmp_path / "a.log", *numbered(0, 900))

    polls = polls_until_the_end(new_tail(batch_bytes=10_000, until=True))

    assert 2 < len(polls) <= 4
    assert [polled.open for polled in polls] == [True] * (len(polls) - 1) + [False]


def test_line_that_comes_alone_is_a_step(tmp_path: Path, new_tail) -> None:
    append(tmp_path / "a.log", *numbered(0, 100))
    tail = new_tail()
    tail.settle()
    append(tmp_path / "a.log", "one more")
    tail.clock.advance(1_000)

    polled = tail.poll()

    assert polled is not None
    assert not polled.open


def test_step_ends_where_the_file_was_rewritten_before_its_next_batch(tmp_path: Path, new_tail) -> None:
    append(tmp_path / "a.log", *numbered(0, 1_000))
    tail = new_tail(batch_bytes=10_000)
    assert tail.poll().open
    (tmp_path / "a.log").write_text("other content\n" * 2_000)

    polled = tail.poll()

    assert polled is not None, "readers wait before a step that goes on"
    assert not polled.records
    assert not polled.open


def test_step_ends_when_the_task_is_to_stop(tmp_path: Path, new_tail) -> None:
    append(tmp_path / "a.log", *numbered(0, 1_000))
    tail = new_tail(batch_bytes=10_000)
    assert tail.poll().open
    tail.stopping.set()

    assert not tail.poll().open
