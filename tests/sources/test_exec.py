"""A command's output: every line of it, its end, and what is left running."""

from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ingest.connectors import DeadRecords, EndOfInput, Polled, Position, Records, SourceContext
from ingest.environment import Environment
from ingest.errors import ConnectorError
from ingest.sources.exec.connector import ExecSettings, ExecSource

PATIENCE_S = 20


class Run:
    """An open source; what is polled is committed at once."""

    def __init__(
        self, command: str | list[str], folder: Path = Path(), *, until: bool = False, **settings: Any
    ) -> None:
        self.batch_bytes = settings.pop("batch_bytes", 1 << 20)
        self.source = ExecSource(ExecSettings(command=command, **settings))
        self.folder = folder
        self.until = until
        self.stopping = threading.Event()
        self.reports: list[str] = []
        self.records: list[Records] = []
        self.dead: list[DeadRecords] = []
        self.positions: dict[str, Position] = {}
        self.open()

    @property
    def lines(self) -> list[Any]:
        return [value for records in self.records for value in records.value.to_pylist()]

    def open(self) -> None:
        self.task = self.source.tasks(1)[0]
        self.task.open(
            SourceContext(
                "cmd",
                self.folder,
                Environment(),
                until_caught_up=self.until,
                max_batch_bytes=self.batch_bytes,
                stopping=self.stopping,
                report=self.reports.append,
            ),
            self.positions,
        )

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *failure: object) -> None:
        self.stopping.set()
        if self.task is not None:
            self.task.close()

    def forget(self) -> None:
        """Nobody knows of the source any more."""
        self.source = self.task = None
        gc.collect()

    def commit(self, polled: Polled | None) -> None:
        if polled is not None:
            self.records += polled.records
            self.dead += polled.dead
            self.positions.update({name: value for name, value in polled.positions.items() if value is not None})
            self.task.committed(polled.positions)

    def to_end(self) -> list[Any]:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                self.commit(self.task.poll())
            except EndOfInput:
                return self.lines
        raise AssertionError("it never ended")

    def until_lines(self, count: int) -> list[Any]:
        deadline = time.monotonic() + PATIENCE_S
        while len(self.lines) < count:
            assert time.monotonic() < deadline, (self.lines, self.reports)
            self.commit(self.task.poll())
        return self.lines

    def stop(self) -> list[Any]:
        self.stopping.set()
        while (polled := self.task.drain()) is not None:
            self.commit(polled)
        self.task.close()
        return self.lines


def ends(pid: int) -> bool:
    """Whether the process is gone, or soon will be."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            if "zombie" in Path(f"/proc/{pid}/status").read_text():
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
    return False


def test_until_caught_up_it_runs_once_to_its_end() -> None:
    with Run(["printf", "one\\ntwo\\n\\nlast"], until=True) as run:
        assert run.to_end() == ["one", "two", "", "last"]


def test_a_text_is_run_by_a_shell_in_the_folder_of_the_pipeline(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("here\n")
    with Run("cat data.txt | tr a-z A-Z; echo $WHO", tmp_path, until=True, environment={"WHO": "me"}) as run:
        assert run.to_end() == ["HERE", "me"]


def test_more_than_memory_should_hold_comes_in_batches(tmp_path: Path) -> None:
    with Run(["seq", "1", "300000"], until=True, queue="64KiB", batch_bytes=32 * 1024) as run:
        assert run.to_end() == [str(number) for number in range(1, 300_001)]
        assert max(len(records) for records in run.records) < 5_000


def test_an_exit_code_is_an_error_after_all_output_was_delivered() -> None:
    with Run("echo one; echo broken >&2; exit 3", until=True) as run:
        with pytest.raises(ConnectorError, match="exit code 3; its last words: broken"):
            run.to_end()
        assert run.lines == ["one"]


def test_standard_error_is_reported_and_cannot_block_it() -> None:
    command = (
        "i=0; while [ $i -lt 3000 ]; do echo a line of some length for the log $i >&2; i=$((i+1)); done; echo done"
    )
    with Run(command, until=True) as run:
        assert run.to_end() == ["done"]
    assert "standard error" in run.reports[0]
    assert "2999" in run.reports[-1]
    assert len(run.reports) < 10


def test_it_is_started_again() -> None:
    with Run("echo $$", restart_wait="10ms") as run:
        lines = run.until_lines(3)
    assert len(set(lines)) == len(lines)


def test_failures_in_a_row_are_told_and_waited_out_longer_and_longer() -> None:
    with Run("echo x; exit 1", restart_wait="20ms", max_restart_wait="100ms") as run:
        begun = time.monotonic()
        run.until_lines(6)
        assert time.monotonic() - begun >= (20 + 40 + 80 + 100 + 100) / 1000
    assert "exit code 1" in run.reports[0]


@pytest.mark.parametrize(("command", "fails"), [("echo one", False), ("echo one; exit 1", True)])
def test_the_source_may_be_done_when_the_command_is(command: str, fails: bool) -> None:
    with Run(command, on_exit="stop") as run:
        if fails:
            with pytest.raises(ConnectorError):
                run.to_end()
        else:
            run.to_end()
        assert run.lines == ["one"]


def test_the_end_of_a_command_that_must_not_end_is_an_error() -> None:
    with Run("echo one", on_exit="fail") as run, pytest.raises(ConnectorError, match="exit code 0"):
        run.to_end()


def test_a_stop_ends_it_with_all_it_has_started_and_takes_its_last_words() -> None:
    with Run("trap 'echo bye; exit' TERM; sleep 1000 & echo $!; while :; do sleep 0.05; done") as run:
        (child,) = run.until_lines(1)
        assert run.stop() == [child, "bye"]
    assert ends(int(child))


def test_a_stop_takes_its_last_words_though_the_hub_has_not_answered_yet() -> None:
    command = "trap 'echo bye; exit' TERM; seq 1 100000; while :; do sleep 0.05; done"
    with Run(command, queue="64KiB", stop_wait="8s") as run:
        polled = None
        while polled is None:
            polled = run.task.poll()
        run.stopping.set()
        while polled is not None:
            on_its_way, polled = polled, run.task.drain()
            run.commit(on_its_way)
        assert run.lines[-1].endswith("bye")


def test_commands_that_have_ended_are_not_signalled_later(monkeypatch: pytest.MonkeyPatch) -> None:
    with Run("echo $$", restart_wait="10ms") as run:
        ended = run.until_lines(3)[:2]
        signalled: list[str] = []
        monkeypatch.setattr(os, "killpg", lambda group, number: signalled.append(str(group)))
        run.forget()
        assert not set(ended) & set(signalled)


def test_one_that_does_not_listen_is_killed() -> None:
    with Run("trap '' TERM; echo $$; while :; do sleep 0.05; done", stop_wait="200ms") as run:
        (pid,) = run.until_lines(1)
        run.stop()
    assert ends(int(pid))


def test_a_failed_attempt_neither_loses_nor_repeats_nor_restarts() -> None:
    with Run("echo $$; for i in 1 2 3 4 5 6; do echo $i; sleep 0.1; done; sleep 100", batch_bytes=64) as run:
        run.until_lines(1)
        while run.task.poll() is None:  # the hub never gets this one
            pass
        run.task.close()
        run.open()
        assert run.until_lines(7)[1:] == ["1", "2", "3", "4", "5", "6"]


def test_bad_bytes_and_long_lines_are_dead_letters() -> None:
    with Run(
        "printf 'a\\nb\\344d\\n'; head -c 1000 /dev/zero | tr '\\0' x; echo; echo z", until=True, max_message=512
    ) as run:
        assert run.to_end() == ["a", "z"]
        dead = [value for dead in run.dead for value in dead.records.value.to_pylist()]
        assert sorted(map(len, dead)) == [3, 488, 512]


def test_a_command_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with Run(["no-such-program"]) as run, pytest.raises(ConnectorError, match="cannot be run"):
        run.task.poll()
    with pytest.raises(ConnectorError, match="no program"):
        ExecSource(ExecSettings(command=["no-such-program"])).check(tmp_path)
    with pytest.raises(ConnectorError, match="no folder"):
        ExecSource(ExecSettings(command="true", folder="missing")).check(tmp_path)
    ExecSource(ExecSettings(command=["cat"])).check(tmp_path)


@pytest.mark.parametrize("command", ["", [], " ", [""]])
def test_an_empty_command_is_refused(command: object) -> None:
    with pytest.raises(ValidationError):
        ExecSettings(command=command)


def test_secrets_in_the_environment_are_not_shown() -> None:
    settings = ExecSettings(command="true", environment={"TOKEN": "hush"})
    assert "hush" not in f"{settings!r} {settings.model_dump_json()}"
