"""The power goes: what was synced is there, whatever of the rest reached the disk."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest
from partitions import Crash, Site, arm, batch_of, read_all, values_of
from powercut import PowerCutDisk

from ingest.failpoints import FailPoints
from ingest.log.partition import PartitionLog
from ingest.log.topic_config import TopicConfig
from ingest.wire.batch import whole_batches
from ingest.wire.control import Marker

POINTS = [
    "log.append.before", "log.append.written", "log.sync.before", "log.sync.data", "log.sync.done",
    "log.roll.before", "log.roll.sealed", "log.roll.created", "log.roll.done",
    "log.retain.before", "log.retain.segment", "log.retain.done",
    "log.compact.written", "log.compact.synced", "log.compact.renamed", "log.compact.swap", "log.compact.removed",
    "log.compact.replaced", "log.compact.done", "log.close.before", "log.close.done",
]  # fmt: skip
RECOVERY_POINTS = ["log.recover.begin", "log.recover.segment", "log.recover.cut", "log.recover.done"]


@pytest.fixture(params=[0.0, 0.5, 1.0], ids=lambda spare: f"spare-{spare}")
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> PowerCutDisk:
    return PowerCutDisk(tmp_path, spare=request.param, random=random.Random(5))


@pytest.fixture
def site(tmp_path: Path, disk: PowerCutDisk) -> Site:
    return Site(tmp_path / "t-0", {"segment.bytes": "300", "index.interval.bytes": "100"}, disk=disk)


def test_unsynced_bytes_may_go_and_synced_ones_stay(site: Site, disk: PowerCutDisk) -> None:
    log = site.open()
    for number in range(10):
        site.append(log, f"synced {number}")
    log.sync()
    for number in range(10):
        site.append(log, f"unsynced {number}")
    log.close(clean=False)
    last = site.logs()[-1]
    disk.cut()
    again = site.open()
    kept = values_of(again)
    assert kept[:10] == [f"synced {number}" for number in range(10)]
    assert kept[10:] == [f"unsynced {number}" for number in range(len(kept) - 10)]
    if not disk.spare:
        # A closed segment is synced before the next one begins; what is in the last one is lost.
        assert len(kept) == int(last.stem)


def test_what_recovery_shows_is_on_disk(site: Site, disk: PowerCutDisk) -> None:
    log = site.open()
    for number in range(20):
        site.append(log, f"value {number}")
    log.close(clean=False)
    for _ in range(3):
        again = site.open()
        seen = values_of(again)
        again.close(clean=False)
        disk.cut()
        assert values_of(site.open())[: len(seen)] == seen


@pytest.mark.parametrize("point", POINTS)
def test_a_cut_at_any_step_keeps_every_synced_record(site: Site, disk: PowerCutDisk, point: str) -> None:
    cut_and_audit(site, disk, point)


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_cut_at_any_step_whatever_reached_the_disk(tmp_path: Path, point: str) -> None:
    for seed in range(40):
        root = tmp_path / str(seed)
        root.mkdir()
        disk = PowerCutDisk(root, spare=0.1 + 0.8 * (seed % 5) / 4, random=random.Random(seed))
        cut_and_audit(
            Site(root / "t-0", {"segment.bytes": "300", "index.interval.bytes": "100"}, disk=disk), disk, point
        )


def cut_and_audit(site: Site, disk: PowerCutDisk, point: str) -> None:
    site.settings = {**site.settings, "cleanup.policy": "compact,delete", "retention.ms": "100000",
                     "min.cleanable.dirty.ratio": "0"}  # fmt: skip
    log = site.open()
    acknowledged: dict[bytes, bytes] = {}
    last_synced = start = 0
    arm(site.fail, point, count=2 if "append" in point or "sync" in point else 1)
    try:
        for number in range(40):
            site.clock.ms += 5000
            key = f"k{number % 6}"
            log.append(batch_of(f"v{number}", keys=[key], time_ms=site.clock.ms), now_ms=site.clock.ms)
            if number % 3 == 0:
                last_synced = log.sync()
                acknowledged = {k: v for _, k, v in read_all(log) if k is not None and v is not None}
            if number % 7 == 6:
                log.compact(site.clock.ms)
            if number % 10 == 9:
                log.retain(site.clock.ms)
                start = log.log_start_offset
        log.close()
    except Crash:
        log.close(clean=False)
    disk.cut()
    again = site.open(recovery_point=last_synced, log_start_offset=start)
    assert again.log_end_offset >= last_synced
    found = {key: value for _, key, value in read_all(again)}
    for key, value in acknowledged.items():
        assert key in found
        assert int(found[key][1:]) >= int(value[1:])
    base = again.log_end_offset
    assert site.append(again, "next", keys=["k0"]).base_offset == base
    again.close()
    assert values_of(site.open(clean=True))[-1] == "next"


def test_offsets_go_on_after_a_cut_while_everything_is_removed(tmp_path: Path) -> None:
    for seed in range(30):
        root = tmp_path / str(seed)
        root.mkdir()
        disk = PowerCutDisk(root, spare=0.5, random=random.Random(seed))
        site = Site(root / "t-0", {"segment.bytes": "90", "retention.ms": "10"}, disk=disk)
        log = site.open()
        for number in range(3):
            site.append(log, f"value {number}")
        log.sync()
        arm(site.fail, "log.retain.segment", count=3)
        with pytest.raises(Crash):
            log.retain(site.clock.ms + 1000)
        log.close(clean=False)
        disk.cut()
        # The recovery point is only written now and then: the log itself must know how far it came.
        assert site.append(site.open(), "next").base_offset == 3


@pytest.mark.parametrize("step", ["written", "synced", "renamed", "swap", "removed", "replaced", "done"])
@pytest.mark.parametrize("cut_again", [False, True])
def test_a_compaction_cut_anywhere_never_brings_back_what_it_replaced(
    tmp_path: Path, step: str, cut_again: bool
) -> None:
    for seed in range(24):
        root = tmp_path / str(seed)
        root.mkdir()
        disk = PowerCutDisk(root, spare=0.5, ordered=seed % 2 == 0, random=random.Random(seed))
        site = Site(
            root / "t-0",
            {"segment.bytes": "300", "cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0",
             "index.interval.bytes": "1"},
            disk=disk,
        )  # fmt: skip
        log = site.open()
        for number in range(20):
            keys = ["a", f"k{number}"] if number % 3 == 0 else ["a"]
            log.append(batch_of(*(f"v{number}" for _ in keys), keys=keys), now_ms=site.clock.ms)
        log.roll()
        log.sync()
        before = latest_of(log)
        log.config = TopicConfig.parse({**site.settings, "segment.bytes": "5000"})  # so that neighbours are merged
        arm(site.fail, f"log.compact.{step}", count=1 + seed % 3 if step == "renamed" else 1)
        with pytest.raises(Crash):
            log.compact(site.clock.ms)
        log.close(clean=False)
        disk.cut()
        if cut_again:
            for point in ("log.compact.undone", "log.compact.removed", "log.compact.replaced"):
                arm(site.fail, point)
            with contextlib.suppress(Crash):
                site.open(recovery_point=log.high_watermark)
            site.fail = FailPoints()
            disk.cut()
        again = site.open(recovery_point=log.high_watermark)
        assert latest_of(again) == before
        records = read_all(again)
        assert [offset for offset, _, _ in records] == sorted({offset for offset, _, _ in records})
        for offset in range(again.log_end_offset):
            assert read_all(again, start=offset) == [record for record in records if record[0] >= offset]
        bases = [int(path.stem) for path in site.logs()]
        for path, following in zip(site.logs(), bases[1:], strict=False):
            assert all(header.next_offset <= following for _, header in whole_batches(path.read_bytes()))


def latest_of(log: PartitionLog) -> dict[bytes | None, tuple[int, bytes | None]]:
    return {key: (offset, value) for offset, key, value in read_all(log)}


@pytest.mark.parametrize("point", RECOVERY_POINTS)
def test_a_cut_during_recovery_is_recovered_from(site: Site, disk: PowerCutDisk, point: str) -> None:
    log = site.open()
    for number in range(10):
        site.append(log, f"value {number}", producer_id=1, producer_epoch=0, base_sequence=number)
    synced = log.sync()
    site.append(log, "torn")
    log.close(clean=False)
    last = site.logs()[-1]
    with last.open("r+b") as file:
        file.truncate(last.stat().st_size - 3)
    arm(site.fail, point)
    with pytest.raises(Crash):
        site.open()
    disk.cut()
    again = site.open(recovery_point=synced)
    assert values_of(again) == [f"value {number}" for number in range(10)]
    retry = site.append(again, "value 9", producer_id=1, producer_epoch=0, base_sequence=9)
    assert (retry.duplicate, retry.base_offset) == (True, 9)


def test_a_clean_shutdown_is_on_disk(site: Site, disk: PowerCutDisk) -> None:
    log = site.open()
    for number in range(20):
        site.append(log, f"value {number}", producer_id=1, producer_epoch=0, base_sequence=number, transactional=True)
    site.mark(log, Marker.ABORT, 1)
    log.close()
    before = {path.name: path.read_bytes() for path in site.folder.iterdir()}
    disk.cut()
    assert {path.name: path.read_bytes() for path in site.folder.iterdir()} == before
    again = site.open(clean=True)
    assert again.log_end_offset == 21
    assert values_of(again, committed=True) == []


def test_a_log_start_outlives_the_cut_once_it_is_written_down(site: Site, disk: PowerCutDisk) -> None:
    log = site.open()
    for number in range(20):
        site.append(log, f"value {number}")
    log.sync()
    log.delete_before(13)
    log.close(clean=False)
    disk.cut()
    again = site.open(log_start_offset=13, recovery_point=20)
    assert values_of(again) == [f"value {number}" for number in range(13, 20)]
