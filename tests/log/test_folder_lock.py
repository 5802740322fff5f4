"""One owner of a data folder at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hubs import abandon, open_hub, read

from ingest.clock import SystemClock
from ingest.connectors import TopicPartition
from ingest.errors import FolderLocked
from ingest.hub.embedded import EmbeddedHub
from ingest.log.folder_lock import FolderLock, holder

OTHER_PROCESS = """
import sys
from ingest.hub.embedded import EmbeddedHub
hub = EmbeddedHub.open(sys.argv[1])
if len(sys.argv) > 2:
    import pyarrow as pa
    from ingest.connectors import Records
    hub.create_topic("t")
    hub.append(Records(topic="t", value=pa.array(["from the owner"])), 0).result(30)
print("mine", flush=True)
sys.stdin.readline()
hub.close()
"""


def test_a_second_owner_learns_who_holds_the_folder(tmp_path: Path) -> None:
    lock = FolderLock.take(tmp_path, SystemClock())
    with pytest.raises(FolderLocked) as caught:
        FolderLock.take(tmp_path, SystemClock())
    assert f"process {os.getpid()}" in str(caught.value)
    assert caught.value.facts["pid"] == os.getpid()
    assert "since" in caught.value.facts
    lock.release()
    FolderLock.take(tmp_path, SystemClock()).release()


def test_waiting_gets_the_folder_once_it_is_free(tmp_path: Path) -> None:
    lock = FolderLock.take(tmp_path, SystemClock())
    threading.Timer(0.1, lock.release).start()
    FolderLock.take(tmp_path, SystemClock(), wait_ms=20_000).release()


def test_text_left_by_a_dead_owner_does_not_lock(tmp_path: Path) -> None:
    FolderLock.take(tmp_path, SystemClock()).drop()
    assert holder(tmp_path) is not None
    FolderLock.take(tmp_path, SystemClock()).release()
    assert holder(tmp_path) is None


def test_two_processes_exclude_each_other_and_the_death_of_one_frees_the_folder(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, str(tmp_path / "data")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "mine\n"
        with pytest.raises(FolderLocked, match=f"process {other.pid} "):
            open_hub(tmp_path / "data")
        other.kill()
    open_hub(tmp_path / "data").close()


def test_another_process_reads_without_the_lock_while_the_owner_lives(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, str(tmp_path / "data"), "write"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "mine\n"
        reader = EmbeddedHub.open(tmp_path / "data", writable=False)
        assert reader.wait({TopicPartition("t", 0): 0}, 30_000)
        assert read(reader) == ["from the owner"]
        reader.close()
        other.communicate("\n")
    assert other.returncode == 0


def test_a_failed_opening_gives_the_folder_back(tmp_path: Path) -> None:
    open_hub(tmp_path).close()
    (tmp_path / "topics.json").write_text("{")
    for _ in range(2):
        with pytest.raises(Exception, match=r"topics\.json is damaged"):
            open_hub(tmp_path)


def test_an_abandoned_folder_can_be_opened_again(tmp_path: Path) -> None:
    abandon(open_hub(tmp_path))
    open_hub(tmp_path).close()
