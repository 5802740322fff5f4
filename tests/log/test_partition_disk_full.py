"""Real disks that refuse: full, read-only, no permission, a file size limit. Nothing is lost, writing resumes."""

from __future__ import annotations

import multiprocessing
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from needs import needs
from partitions import START_MS, Site, batch_of, read_all, values_of

from ingest.disk import SystemDisk
from ingest.errors import StorageFailed
from ingest.log.partition import PartitionLog

MIB = 1 << 20


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    """An empty tmpfs of 4 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True)
    needs(done.returncode == 0, "the right to mount a tmpfs")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def site_on(place: Path, **settings: str) -> Site:
    return Site(place / "t-0", {"index.interval.bytes": "1000", **settings}, disk=SystemDisk())


def fill(log: PartitionLog, size: int = 100_000) -> int:
    """Appends and syncs until the disk refuses; returns how many batches are on disk."""
    for number in range(10_000):
        try:
            log.append(batch_of(f"{number} " + "x" * size), now_ms=START_MS)
            log.sync()
        except StorageFailed:
            return number
    raise AssertionError("the disk never filled up")


@pytest.mark.parametrize("segment_bytes", ["1073741824", "250000"])
def test_a_full_disk_stops_writing_keeps_reading_and_resumes(mount: Path, segment_bytes: str) -> None:
    ballast = mount / "ballast"
    ballast.write_bytes(b"\0" * MIB)
    site = site_on(mount, **{"segment.bytes": segment_bytes})
    log = site.open()
    count = fill(log)
    assert 20 < count < 40
    with pytest.raises(StorageFailed) as caught:
        log.append(batch_of("y" * 2 * MIB), now_ms=START_MS, kind="raw")
    assert str(site.folder) in str(caught.value)
    assert "room" in str(caught.value)
    assert len(read_all(log, max_bytes=300_000)) == count
    ballast.unlink()
    info = log.append(batch_of("after"), now_ms=START_MS)
    assert info.base_offset == count
    log.sync()
    assert values_of(log, start=count) == ["after"]
    log.close()
    again = site.open(clean=True)
    assert again.log_end_offset == count + 1


def test_a_full_disk_and_a_kill_leave_whole_batches_only(mount: Path) -> None:
    ballast = mount / "ballast"
    ballast.write_bytes(b"\0" * MIB)
    site = site_on(mount)
    log = site.open()
    count = fill(log)
    log.close(clean=False)
    ballast.unlink()
    again = site.open()
    assert again.log_end_offset == count
    assert len(read_all(again, max_bytes=300_000)) == count


def test_opening_on_a_full_disk_says_so_and_works_with_room(mount: Path) -> None:
    site = site_on(mount)
    log = site.open()
    log.append(batch_of("one"), now_ms=START_MS)
    log.sync()
    log.close(clean=False)
    for path in site.folder.glob("*.snapshot"):
        path.unlink()
    ballast = mount / "ballast"
    with pytest.raises(OSError, match="space"):
        ballast.write_bytes(b"\0" * 8 * MIB)
    with pytest.raises(StorageFailed, match="space"):
        site.open()
    assert values_of(site.view()) == ["one"]
    ballast.unlink()
    assert values_of(site.open()) == ["one"]


def test_a_disk_remounted_read_only_and_back(mount: Path) -> None:
    site = site_on(mount, **{"segment.bytes": "1000"})
    log = site.open()
    for number in range(20):
        log.append(batch_of(f"value {number}"), now_ms=START_MS)
    log.sync()
    log.close()
    subprocess.run(["mount", "-o", "remount,ro", str(mount)], check=True)
    try:
        with pytest.raises(StorageFailed, match="read-only"):
            site.open()
        assert len(values_of(site.view(synced_limit=20))) == 20
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(mount)], check=True)
    again = site.open()
    again.append(batch_of("more"), now_ms=START_MS)
    again.sync()
    assert len(values_of(again)) == 21


def in_a_process(target: object, *args: object) -> None:
    """Runs ``target`` in a forked process, as it gives up rights or room for good; its failure is ours."""
    process = multiprocessing.get_context("fork").Process(target=target, args=args)  # type: ignore[arg-type]
    process.start()
    process.join(60)
    assert process.exitcode == 0


def _appends_at_a_size_limit(folder: Path) -> None:
    site = site_on(folder)
    log = site.open()
    resource.setrlimit(resource.RLIMIT_FSIZE, (250_000, resource.RLIM_INFINITY))
    assert fill(log) == 2
    size = site.logs()[0].stat().st_size
    assert size < 250_000, "the half of a batch that was written is taken back"
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    log.append(batch_of("x" * 200_000), now_ms=START_MS)
    assert log.sync() == 3
    assert [len(value) for value in values_of(log)] == [100_002, 100_002, 200_000]


def test_a_half_written_batch_is_taken_back(tmp_path: Path) -> None:
    in_a_process(_appends_at_a_size_limit, tmp_path)


def _appends_without_permission(folder: Path) -> None:
    os.chmod(folder, 0o777)
    os.setegid(65534)
    os.seteuid(65534)
    site = site_on(folder, **{"segment.bytes": "200"})
    log = site.open()
    for number in range(5):
        log.append(batch_of(f"value {number}"), now_ms=START_MS)
    log.sync()
    os.chmod(site.folder, 0o500)
    with pytest.raises(StorageFailed, match="ermission"):
        for _ in range(10):
            log.append(batch_of("x" * 100), now_ms=START_MS)
    log.sync()
    assert len(values_of(log)) >= 5
    with pytest.raises(StorageFailed, match="ermission"):
        log.retain(START_MS + 10**12)
    os.chmod(site.folder, 0o700)
    log.append(batch_of("again"), now_ms=START_MS)
    log.sync()
    assert values_of(log)[-1] == "again"
    log.close()


def test_a_lost_permission_is_named_and_outlived(tmp_path: Path) -> None:
    needs(os.geteuid() == 0, "root, to give its rights up")
    for folder in (tmp_path, *tmp_path.parents[:3]):
        os.chmod(folder, 0o755)
    in_a_process(_appends_without_permission, tmp_path)
