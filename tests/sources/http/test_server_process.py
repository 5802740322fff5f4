"""The process of the server ends with the task that has started it, at whatever moment that dies."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.sources.http.channel import Channel, packed
from ingest.sources.http.settings import HttpSettings

PROGRAM = "from ingest.sources.http.serving import main; main()"
PATIENCE_S = 60


def started() -> tuple[subprocess.Popen[bytes], socket.socket]:
    """The process, and the task's end of their talk."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", PROGRAM],
            stdin=theirs.fileno(),
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
        )
    return process, ours


def start_message(folder: Path) -> bytes:
    return packed(("start", HttpSettings(listen="127.0.0.1:0"), folder, b"", 1 << 20))


@pytest.mark.parametrize("asked", [False, True], ids=["nothing said", "told to start"])
def test_a_task_that_dies_while_the_process_starts_leaves_none_behind(tmp_path: Path, asked: bool) -> None:
    message = start_message(tmp_path) if asked else b""
    process, ours = started()
    with ours:
        ours.sendall(message)
    assert end_of(process) == (0, b"")


def test_a_task_that_dies_once_the_process_listens_leaves_none_behind(tmp_path: Path) -> None:
    message = start_message(tmp_path)
    process, ours = started()
    channel = Channel(ours)
    ours.sendall(message)
    received = channel.receive(PATIENCE_S * 1000)
    channel.close()
    assert end_of(process) == (0, b"")
    assert received is not None
    assert received[0][0] == "listening"


def end_of(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    """How it ended by itself, and what it said."""
    with process:
        try:
            _, said = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    return process.returncode, said
