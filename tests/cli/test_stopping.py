"""SIGINT and SIGTERM end every command cleanly: soon, with exit code 0 and without a stack trace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hubs import open_hub, read
from shop import run_shop

from ingest.cli.main import main

SERIES = "generate_series(1, 3000000)"
FOREVER = f"SELECT count(*) FROM {SERIES} a CROSS JOIN {SERIES} b WHERE a.value * b.value % 7 = 3"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return run_shop(tmp_path).parent


@pytest.fixture
def start(shop: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a command in the shop's folder; kills what a test leaves running."""
    started = []

    def run(*arguments: str) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        command = [sys.executable, "-m", "ingest", *arguments]
        started.append(subprocess.Popen(command, cwd=shop, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def stopped(process: subprocess.Popen[bytes], number: int) -> str:
    """Sends the signal; what the command said on stderr."""
    process.send_signal(number)
    _, said = process.communicate(timeout=10)
    assert process.returncode == 0, said
    assert b"Traceback" not in said
    return said.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_consume_that_follows_stops(number: int, start: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = start("consume", "events", "--data", "data", "--follow")
    assert process.stdout is not None
    assert b"Zo" in process.stdout.readline()
    assert stopped(process, number) == "stopped\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_produce_keeps_the_lines_that_came_before(
    number: int, shop: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    process = start("produce", "lines", "--data", "data")
    assert process.stdin is not None
    assert process.stderr is not None
    assert process.stderr.readline() == b"created lines in data\n"
    process.stdin.write(b"one\ntwo\nhal")
    wait_for(lambda: b"two" in log_of(shop, "lines"))
    process.send_signal(number)
    said = process.stderr.read()
    assert process.wait(timeout=10) == 0, said
    assert b"2 records appended to lines" in said
    assert b"the last 3 bytes are left out" in said
    hub = open_hub(shop / "data")
    assert read(hub, "lines") == ["one", "two"]
    hub.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_query_that_works_for_hours_stops_and_leaves_nothing_behind(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    process = start("sql", FOREVER)
    wait_for(lambda: threads_of(process.pid) > 3)
    assert stopped(process, number) == "stopped\n"
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_stops_with_its_work_committed(
    number: int, shop: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    process = start("run", "pipeline.yaml", "--quiet")
    with (shop / "events.jsonl").open("a") as log:
        log.write('{"user_id": 3, "name": "late", "price": 0.5}\n')
    wait_for(lambda: log_of(shop, "events").count(b"late") == 1)
    assert "1 records in, 1 out" in stopped(process, number)


def test_a_signal_that_was_ignored_stays_ignored(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    """As with nohup, and with jobs that a script puts into the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = start("consume", "events", "--data", "data", "--follow")
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    assert stopped(process, signal.SIGTERM) == "stopped\n"


def test_a_run_that_was_told_to_ignore_a_signal_goes_on(
    shop: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = start("run", "pipeline.yaml", "--quiet")
    finally:
        signal.signal(signal.SIGINT, before)
    for name in ("before", "after"):
        with (shop / "events.jsonl").open("a") as log:
            log.write(f'{{"user_id": 3, "name": "{name}", "price": 0.5}}\n')
        wait_for(lambda name=name: log_of(shop, "events").count(name.encode()) == 1)
        process.send_signal(signal.SIGINT)
    assert "2 records in, 2 out" in stopped(process, signal.SIGTERM)


def test_an_answer_of_no_changes_nothing(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (shop / "answer").write_text("n\n")
    with (shop / "answer").open() as answer:
        monkeypatch.setattr("sys.stdin", answer)
        assert main(["topics", "delete", "events", "--data", f"{shop}/data"]) == 2
    assert "nothing was changed" in capsys.readouterr().err
    hub = open_hub(shop / "data")
    assert "events" in [topic.name for topic in hub.topics()]
    hub.close()


def test_a_question_that_nobody_answers_keeps_its_line(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (shop / "answer").write_text("")
    with (shop / "answer").open() as answer:
        monkeypatch.setattr("sys.stdin", answer)
        assert main(["topics", "delete", "events", "--data", f"{shop}/data"]) == 2
    question, told, *_ = capsys.readouterr().err.splitlines()
    assert question.rstrip().endswith("[y/N]:")
    assert told == "error: nobody answered, so nothing was changed"


def log_of(shop: Path, topic: str) -> bytes:
    return b"".join(path.read_bytes() for path in shop.glob(f"data/{topic}-0/*.log"))


def threads_of(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        os.sched_yield()


def test_ctrl_c_while_the_program_is_loaded_ends_it_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n")
    done = subprocess.run(
        [sys.executable, "-m", "ingest", "--help"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == -signal.SIGINT
    assert done.stderr == ""
