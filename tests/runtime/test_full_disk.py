"""A disk that is full, and folders that are not to be written: what a whole run does about them."""

from __future__ import annotations

import os
import subprocess
import threading

import pytest
from needs import needs

from ingest.errors import StorageDenied, StorageFull
from ingest.runtime.plan import SinkPlan
from ingest.runtime.worker import Worker
from ingest.sinks.parquet.connector import ParquetSink

PATIENCE_S = 20


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    mount = tmp_path / "small"
    mount.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)], check=False).returncode
    )
    needs(mounted, "the right to mount a small tmpfs")
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)


def plan_to(world, folder):
    """Ten rows into Parquet, a commit as soon as they are there."""
    sink = ParquetSink(ParquetSink.Settings(url=str(folder), roll={"rows": 10}))
    system = world.System([f"row {number}" for number in range(10)])
    return world.plan(system, sinks=[SinkPlan("lake", sink, ["t"])])


def files_in(folder):
    return list(folder.glob("*.parquet"))


def eventually(condition):
    never = threading.Event()
    for _ in range(PATIENCE_S * 100):
        if condition():
            return
        never.wait(0.01)
    raise AssertionError("it never happened")


def test_a_run_that_goes_on_waits_for_room(world, small_disk):
    filler = small_disk / "filler"
    filler.write_bytes(bytes(1 << 20))
    lines = []
    worker = Worker(world.hub, plan_to(world, small_disk / "lake"), report=lines.append)
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    try:
        eventually(lambda: any("No space left" in line and str(small_disk) in line for line in lines))
        filler.unlink()
        eventually(lambda: files_in(small_disk / "lake"))
        assert {task["state"] for task in worker.status()["tasks"]} == {"running"}
    finally:
        worker.stop()
        thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_a_run_that_is_to_end_fails_soon_and_goes_on_once_there_is_room(world, small_disk):
    filler = small_disk / "filler"
    filler.write_bytes(bytes(1 << 20))
    outcome = world.run(plan_to(world, small_disk / "lake"))
    assert (outcome.exit_code, outcome.task) == (1, "sink lake")
    assert isinstance(outcome.error, StorageFull)
    assert str(small_disk / "lake") in outcome.error.message
    assert outcome.error.hint
    filler.unlink()
    assert world.run(plan_to(world, small_disk / "lake")).state == "done"
    assert len(files_in(small_disk / "lake")) == 1


@pytest.mark.parametrize("path", ["file/lake", "x" * 300, "loop/lake"])
def test_a_path_that_cannot_be_written_ends_every_run_at_once(world, tmp_path, path):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    lines = []
    outcome = Worker(world.hub, plan_to(world, tmp_path / path), report=lines.append).run()
    assert (outcome.state, outcome.exit_code, outcome.task) == ("failed", 1, "sink lake")
    assert isinstance(outcome.error, StorageDenied)
    assert str(tmp_path / path) in outcome.error.message
    assert outcome.error.hint
    assert lines == []
