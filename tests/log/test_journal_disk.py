"""The power cut for whole processes takes back exactly what no journal entry proves to be on disk."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hubs import abandon, open_hub, read, records
from journal_disk import JournalDisk, apply_power_cut

WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from hubs import open_hub, records
from journal_disk import JournalDisk
root = Path(sys.argv[1])
hub = open_hub(root / "data", JournalDisk(Path(sys.argv[2]), [root]))
if not any(info.name == "t" for info in hub.topics()):
    hub.create_topic("t")
writer = hub.register_writer("w")
number = 0
while True:
    number += 1
    transaction = hub.transaction(writer)
    transaction.append(records(f"{writer.epoch}.{number}"), 0)
    transaction.put_positions("owner", {"s": {"text": f"{writer.epoch}.{number}"}})
    transaction.commit().result(60)
    print(f"{writer.epoch}.{number}", flush=True)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def cut(root: Path, spare: float, seed: int = 1) -> None:
    apply_power_cut([root], root.parent / "journal", random.Random(seed), spare=spare)


def write(path: Path, text: str, disk: JournalDisk | None = None) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, text.encode())
    if disk is not None:
        disk.sync(fd, path)
    os.close(fd)


def test_unsynced_bytes_and_names_are_taken_back(root: Path) -> None:
    write(root / "old", "old")
    disk = JournalDisk(root.parent / "journal", [root])
    write(root / "synced", "synced", disk)
    write(root / "nameless", "synced", disk)
    disk.sync_folder(root)
    write(root / "synced", " and more")
    write(root / "later", "synced, but its name is not", disk)
    (root / "nameless").rename(root / "renamed behind the disk's back")
    cut(root, spare=0)
    assert {path.name: path.read_text() for path in root.iterdir()} == {
        "old": "old", "synced": "synced", "nameless": "synced",
    }  # fmt: skip


def test_unsynced_renames_and_removals_are_undone(root: Path) -> None:
    write(root / "a", "old")
    write(root / "b", "doomed")
    disk = JournalDisk(root.parent / "journal", [root])
    write(root / "a.tmp", "new", disk)
    disk.replace(root / "a.tmp", root / "a")
    disk.unlink(root / "b")
    cut(root, spare=0)
    assert (root / "a").read_text() == "old"
    assert (root / "b").read_text() == "doomed"


def test_synced_renames_and_removals_stay(root: Path) -> None:
    write(root / "a", "old")
    write(root / "b", "doomed")
    disk = JournalDisk(root.parent / "journal", [root])
    write(root / "a.tmp", "new", disk)
    disk.replace(root / "a.tmp", root / "a")
    disk.link(root / "a", root / "c")
    disk.unlink(root / "b")
    disk.sync_folder(root)
    cut(root, spare=0)
    assert {path.name: path.read_text() for path in root.iterdir()} == {"a": "new", "c": "new"}


def test_an_unsynced_truncation_is_undone(root: Path) -> None:
    write(root / "a", "0123456789")
    disk = JournalDisk(root.parent / "journal", [root])
    fd = os.open(root / "a", os.O_RDWR)
    disk.truncate(fd, root / "a", 4)
    cut(root, spare=0)
    assert (root / "a").read_text() == "0123456789"
    os.close(fd)


def test_names_survive_as_a_prefix_of_what_was_done(root: Path) -> None:
    seen = set()
    for seed in range(40):
        for path in root.iterdir():
            path.unlink()
        (root.parent / "journal").unlink(missing_ok=True)
        disk = JournalDisk(root.parent / "journal", [root])
        for name in ("first", "second"):
            write(root / f"{name}.tmp", name, disk)
            disk.replace(root / f"{name}.tmp", root / name)
        cut(root, spare=0.5, seed=seed)
        found = frozenset(path.name for path in root.iterdir() if path.suffix != ".tmp")
        seen.add(found)
    assert seen == {frozenset(), frozenset({"first"}), frozenset({"first", "second"})}


def test_a_program_killed_before_it_had_a_disk_loses_nothing(root: Path) -> None:
    write(root / "a", "old")
    cut(root, spare=0)
    assert (root / "a").read_text() == "old"


@pytest.mark.parametrize("seed", range(6))
def test_a_hub_keeps_what_it_acknowledged(root: Path, seed: int) -> None:
    disk = JournalDisk(root.parent / "journal", [root])
    hub = open_hub(root / "data", disk)
    hub.create_topic("t", config={"segment.bytes": "300"})
    for n in range(20):
        hub.append(records(f"r{n}"), 0).result(30)
    abandon(hub)
    cut(root, spare=seed / 5, seed=seed)
    hub = open_hub(root / "data")
    assert read(hub) == [f"r{n}" for n in range(20)]
    hub.close()


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 20))])
def test_a_killed_process_and_a_power_cut_lose_nothing_that_was_told(root: Path, seed: int) -> None:
    dice, told = random.Random(seed), []
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(root), str(root.parent / "journal"), str(Path(__file__).parents[1])],
            stdout=subprocess.PIPE,
            text=True,
        ) as writer:
            assert writer.stdout is not None
            told += [writer.stdout.readline().strip() for _ in range(dice.randint(1, 20))]
            writer.kill()
            told += writer.stdout.read().split()
        apply_power_cut([root], root.parent / "journal", dice)
    hub = open_hub(root / "data")
    found = read(hub)
    assert [text for text in found if text in told] == told
    assert len(found) <= len(told) + 2
    assert hub.positions("owner")["s"]["text"] == found[-1]
    hub.close()
