"""A whole process is killed at named steps; the next one finishes the work, every row exactly once."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.hub.embedded import EmbeddedHub

PROGRAM = Path(__file__).with_name("notes_pipeline.py")
NOTES = [b"\xff\xfe" if number % 9 == 4 else f"note {number:04} and more" for number in range(60)]
STEPS = [
    f"{name}*{count}"
    for name in [
        "source.polled",
        "source.transformed",
        "source.appended",
        "source.committed",
        "sink.read",
        "sink.put",
        "sink.flushed",
        "sink.dead-letters",
        "sink.reported",
        "table.written",
        "table.committed",
    ]
    for count in (1, 3)
]
SOME = ["source.appended*2", "table.committed"]


@pytest.fixture
def folder(tmp_path):
    with sqlite3.connect(tmp_path / "notes.db") as database:
        database.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, text)")
        database.executemany("INSERT INTO notes (text) VALUES (?)", [[note] for note in NOTES])
    database.close()
    return tmp_path


def run(folder, fail_points=""):
    environment = {**os.environ, "INGEST_FAILPOINTS": fail_points}
    return subprocess.run(
        [sys.executable, PROGRAM, folder], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def audit(folder):
    """Every note is in the target or among the dead letters, exactly once."""
    database = sqlite3.connect(folder / "target.db")
    written = [text for (text,) in database.execute("SELECT text FROM written ORDER BY rowid")]
    database.close()
    hub = EmbeddedHub.open(folder / "data")
    dead, offset = [], 0
    while offset < hub.end_offset("notes.dead", 0):
        fetched = hub.read("notes.dead", 0, offset, max_bytes=1 << 20)
        offset = fetched.end
        dead += fetched.records.value.to_pylist() if fetched.records is not None else []
    hub.close()
    assert written == [note[:12] for note in NOTES if isinstance(note, str)]
    assert dead == [note for note in NOTES if isinstance(note, bytes)]


def killed_and_finished(folder, fail_points, *, rare=False):
    killed = run(folder, fail_points)
    assert killed.returncode == -signal.SIGKILL or (rare and killed.returncode == 0), killed.stderr
    finished = run(folder)
    assert finished.returncode == 0, finished.stderr + finished.stdout
    audit(folder)


@pytest.mark.parametrize("step", SOME)
def test_killed_at_a_step_everything_arrives_once(folder, step):
    killed_and_finished(folder, step)


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_everything_arrives_once(folder, step):
    # a fast source leaves the sink with a single delivery, and a step of it comes but once
    killed_and_finished(folder, step, rare=step.startswith(("sink.", "table.")) and step.endswith("*3"))


@pytest.mark.slow
def test_killed_again_and_again_everything_arrives_once(folder):
    for step in STEPS:
        assert run(folder, step).returncode in (0, -signal.SIGKILL)
    assert run(folder).returncode == 0
    audit(folder)
