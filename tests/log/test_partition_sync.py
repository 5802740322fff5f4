"""Syncs that fail: what was not on disk is taken back, what was stays readable, and writing resumes."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest
from partitions import Crash, RefusingDisk, Site, arm, batch_of, read_all, values_of

from ingest.errors import StorageFailed
from ingest.wire.control import Marker


@pytest.fixture
def disk() -> RefusingDisk:
    return RefusingDisk()


@pytest.fixture
def site(tmp_path: Path, disk: RefusingDisk) -> Site:
    return Site(tmp_path / "t-0", {"index.interval.bytes": "100", "segment.bytes": "600"}, disk=disk)


def test_a_failed_sync_takes_back_what_was_not_on_disk(site: Site, disk: RefusingDisk) -> None:
    log = site.open()
    site.append(log, "kept")
    log.sync()
    lost = site.append(log, "lost")
    disk.refused = {"sync": errno.EIO}
    with pytest.raises(StorageFailed) as caught:
        log.sync()
    assert str(site.folder) in str(caught.value)
    assert caught.value.hint
    assert (log.log_end_offset, log.high_watermark) == (1, 1)
    assert log.is_cut(lost)
    assert values_of(log) == ["kept"]


def test_appends_are_refused_until_the_cause_is_gone(site: Site, disk: RefusingDisk) -> None:
    log = site.open()
    site.append(log, "kept")
    log.sync()
    site.append(log, "lost")
    disk.refused = {"sync": errno.EIO}
    with pytest.raises(StorageFailed):
        log.sync()
    for _ in range(3):
        with pytest.raises(StorageFailed):
            site.append(log, "refused")
        assert values_of(log) == ["kept"]
    disk.refused = {}
    again = site.append(log, "again")
    assert again.base_offset == 1
    assert not log.is_cut(again)
    log.sync()
    assert values_of(log) == ["kept", "again"]
    log.close()
    assert values_of(site.open()) == ["kept", "again"]


@pytest.mark.parametrize("operation", ["sync", "sync_folder", "truncate", "unlink", "replace"])
def test_a_cut_over_several_segments_survives_any_refusal(site: Site, disk: RefusingDisk, operation: str) -> None:
    log = site.open()
    for number in range(12):
        site.append(log, f"kept {number}")
    log.sync()
    kept = values_of(log)
    for number in range(25):
        site.append(log, f"lost {number}")
    disk.refused = {"sync": errno.ENOSPC, operation: errno.ENOSPC}
    with pytest.raises(StorageFailed):
        log.sync()
    assert values_of(log) == kept
    disk.refused.pop("sync")
    if disk.refused:
        with pytest.raises(StorageFailed):
            site.append(log, "refused")
    disk.refused = {}
    assert site.append(log, "again").base_offset == 12
    log.sync()
    assert values_of(log) == [*kept, "again"]
    log.close(clean=False)
    assert values_of(site.open()) == [*kept, "again"]


def test_a_new_segment_whose_name_cannot_be_synced_does_not_count(site: Site, disk: RefusingDisk) -> None:
    log = site.open()
    site.append(log, "kept")
    log.sync()
    log.roll()
    site.append(log, "lost")
    disk.refused = {"sync_folder": errno.EIO}
    with pytest.raises(StorageFailed):
        log.sync()
    disk.refused = {}
    assert values_of(log) == ["kept"]
    assert site.append(log, "again").base_offset == 1
    log.sync()
    assert values_of(log) == ["kept", "again"]


def test_a_cut_takes_back_producer_state_and_transactions(site: Site, disk: RefusingDisk) -> None:
    log = site.open()
    site.append(log, "a", producer_id=7, producer_epoch=0, base_sequence=0, transactional=True)
    log.sync()
    site.append(log, "b", producer_id=7, producer_epoch=0, base_sequence=1, transactional=True)
    site.append(log, "c", producer_id=8, producer_epoch=0, base_sequence=0, transactional=True)
    site.mark(log, Marker.ABORT, 7)
    assert log.open_transactions() == {8: (0, 2)}
    disk.refused = {"sync": errno.EIO}
    with pytest.raises(StorageFailed):
        log.sync()
    disk.refused = {}
    site.append(log, "b again", producer_id=7, producer_epoch=0, base_sequence=1, transactional=True)
    assert log.open_transactions() == {7: (0, 0)}
    site.mark(log, Marker.COMMIT, 7)
    log.sync()
    assert values_of(log, committed=True) == ["a", "b again"]


def test_a_cut_begins_a_new_leader_epoch(site: Site, disk: RefusingDisk) -> None:
    log = site.open()
    site.append(log, "kept")
    log.sync()
    site.append(log, "lost")
    disk.refused = {"sync": errno.EIO}
    with pytest.raises(StorageFailed):
        log.sync()
    disk.refused = {}
    site.append(log, "again")
    assert log.leader_epoch == 1
    assert log.epoch_end_offset(0) == (0, 1)
    assert log.epoch_end_offset(1) == (1, 2)
    log.close()
    assert site.open(clean=True).leader_epoch == 1


def test_readers_go_on_while_the_log_cannot_be_put_right(site: Site, disk: RefusingDisk) -> None:
    log = site.open()
    for number in range(30):
        site.append(log, f"kept {number}")
    log.sync()
    site.append(log, "lost")
    disk.read_only()
    with pytest.raises(StorageFailed, match="Read-only"):
        log.sync()
    assert len(values_of(log)) == 30
    assert log.offset_for_time(0) == 0


def test_an_append_that_must_follow_a_lost_one_is_refused(site: Site, disk: RefusingDisk) -> None:
    log = site.open()
    first = site.append(log, "first of two")
    disk.refused = {"sync": errno.EIO}
    with pytest.raises(StorageFailed):
        log.sync()
    disk.refused = {}
    with pytest.raises(StorageFailed, match="lost"):
        log.append(batch_of("second"), now_ms=site.clock.ms, expected_cuts=first.cuts)
    assert log.append(batch_of("fresh"), now_ms=site.clock.ms, expected_cuts=log.cuts).base_offset == 0


class SlowThenBroken(RefusingDisk):
    """The first sync takes until it is let go; those of other threads meanwhile fail."""

    def __init__(self) -> None:
        super().__init__()
        self.first: threading.Thread | None = None
        self.begun, self.let_go = threading.Event(), threading.Event()

    def sync(self, fd: int, path: Path) -> None:
        if path.suffix == ".log" and self.first is None:
            self.first = threading.current_thread()
            self.begun.set()
            assert self.let_go.wait(30)
        elif self.begun.is_set() and not self.let_go.is_set():
            raise OSError(errno.EIO, "broken", str(path))
        super().sync(fd, path)


def test_a_sync_that_was_overtaken_by_a_cut_does_not_count(tmp_path: Path) -> None:
    disk = SlowThenBroken()
    site = Site(tmp_path / "t-0", {"segment.bytes": "100"}, disk=disk)
    log = site.open()
    site.append(log, "lost")
    outcome: list[object] = []

    def sync() -> None:
        try:
            outcome.append(log.sync())
        except StorageFailed as error:
            outcome.append(error)

    syncer = threading.Thread(target=sync)
    syncer.start()
    assert disk.begun.wait(30)
    with pytest.raises(StorageFailed):
        log.append(batch_of("x" * 50), now_ms=site.clock.ms)  # rolls, and so must sync first
    disk.let_go.set()
    syncer.join()
    assert isinstance(outcome[0], StorageFailed)
    assert log.high_watermark == log.log_end_offset == 0
    assert site.append(log, "again").base_offset == 0
    log.sync()
    assert values_of(log) == ["again"]


@pytest.mark.parametrize("step", ["before", "sealed", "created", "done"])
def test_a_crash_during_a_roll_loses_nothing_synced(site: Site, step: str) -> None:
    log = site.open()
    site.append(log, "a")
    site.append(log, "b")
    log.sync()
    arm(site.fail, f"log.roll.{step}")
    with pytest.raises(Crash):
        log.roll()
    again = site.open()
    assert values_of(again) == ["a", "b"]
    assert site.append(again, "c").base_offset == 2


@pytest.mark.parametrize("point", ["log.append.before", "log.append.written", "log.sync.before", "log.sync.data"])
def test_a_crash_around_append_and_sync_keeps_whole_batches_only(site: Site, point: str) -> None:
    log = site.open()
    site.append(log, "a", "b")
    log.sync()
    arm(site.fail, point)
    with pytest.raises(Crash):
        site.append(log, "c", "d")
        log.sync()
    log.close(clean=False)
    again = site.open()
    assert values_of(again) in (["a", "b"], ["a", "b", "c", "d"])
    assert again.high_watermark == again.log_end_offset == len(read_all(again))
