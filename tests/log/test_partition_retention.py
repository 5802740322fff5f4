"""Segments that have outlived the topic's settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from partitions import START_MS, Crash, RefusingDisk, Site, arm, read_all, values_of

from ingest.errors import StorageFailed
from ingest.log.partition import PartitionLog
from ingest.wire.control import Marker

HOUR_MS = 3_600_000


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "t-0", {"retention.ms": str(HOUR_MS), "segment.bytes": "90"})


def hourly(site: Site, count: int, *, time_ms: int | None = None) -> PartitionLog:
    """One segment each half hour; the clock then stands at the last append."""
    log = site.open()
    for number in range(count):
        site.clock.ms = START_MS + number * HOUR_MS // 2
        site.append(log, f"v{number}", time_ms=site.clock.ms if time_ms is None else time_ms)
    log.sync()
    assert len(site.logs()) == count
    return log


def test_age_counts_from_the_append_not_from_the_records_time(site: Site) -> None:
    log = hourly(site, 6, time_ms=5)
    assert log.retain(site.clock.ms) == 3
    assert values_of(log) == ["v3", "v4", "v5"]
    assert log.log_start_offset == 3
    assert log.retain(site.clock.ms) == 0


def test_age_may_count_from_the_records_time(site: Site) -> None:
    site.settings = {**site.settings, "ingest.retention.by": "record"}
    log = hourly(site, 6, time_ms=5)
    assert log.retain(site.clock.ms) == 6
    assert read_all(log) == []
    assert log.log_start_offset == log.log_end_offset == 6


def test_the_time_of_append_survives_a_clean_restart_and_a_kill(site: Site) -> None:
    log = hourly(site, 6)
    log.close()
    log = site.open(clean=True)
    assert log.retain(site.clock.ms) == 3
    log.close(clean=False)
    # The kernel wrote the time of the last, unclosed segment; the closed ones have ours.
    os.utime(site.logs()[-1], (START_MS / 1000 + 9000, START_MS / 1000 + 9000))
    log = site.open()
    assert log.retain(site.clock.ms + HOUR_MS // 2) == 1
    assert values_of(log) == ["v4", "v5"]


def test_the_last_segment_goes_too_and_the_offsets_go_on(site: Site) -> None:
    log = hourly(site, 3)
    assert log.retain(site.clock.ms + 2 * HOUR_MS) == 3
    assert read_all(log) == []
    assert [int(path.stem) for path in site.logs()] == [3]
    assert site.append(log, "next").base_offset == 3
    log.sync()
    log.close(clean=False)
    assert values_of(site.open(), start=3) == ["next"]


def test_an_empty_log_is_left_alone(site: Site) -> None:
    log = site.open()
    assert log.retain(START_MS + 1000 * HOUR_MS) == 0
    assert [int(path.stem) for path in site.logs()] == [0]


def test_size_removes_the_oldest_and_keeps_at_least_the_limit(site: Site) -> None:
    site.settings = {"segment.bytes": "90", "retention.bytes": "200", "retention.ms": "-1"}
    log = hourly(site, 6)
    one = site.logs()[0].stat().st_size
    assert log.retain(site.clock.ms) == 6 - -(-200 // one)
    assert log.size_bytes >= 200
    assert log.size_bytes - one < 200


def test_no_limits_remove_nothing(site: Site) -> None:
    site.settings = {"segment.bytes": "90", "retention.ms": "-1"}
    assert hourly(site, 4).retain(START_MS + 10_000 * HOUR_MS) == 0


def test_a_compacted_topic_removes_nothing_by_age(site: Site) -> None:
    site.settings = {**site.settings, "cleanup.policy": "compact"}
    assert hourly(site, 4).retain(START_MS + 10_000 * HOUR_MS) == 0


def test_nothing_goes_that_a_sink_has_yet_to_read(site: Site) -> None:
    log = hourly(site, 6)
    assert log.retain(site.clock.ms + 9 * HOUR_MS, hold_offset=2) == 2
    assert values_of(log)[0] == "v2"
    assert log.retain(site.clock.ms + 9 * HOUR_MS, hold_offset=0) == 0
    assert log.retain(site.clock.ms + 9 * HOUR_MS, hold_offset=6) == 4


def test_a_topic_may_ignore_its_sinks(site: Site) -> None:
    site.settings = {**site.settings, "ingest.retention.ignores.sinks": "true"}
    assert hourly(site, 3).retain(site.clock.ms + 9 * HOUR_MS, hold_offset=0) == 3


def test_nothing_goes_that_is_in_an_open_transaction_or_not_synced(site: Site) -> None:
    log = hourly(site, 2)
    site.append(log, "open", producer_id=1, producer_epoch=0, base_sequence=0, transactional=True)
    site.append(log, "behind")
    log.sync()
    site.append(log, "not synced")
    late = site.clock.ms + 9 * HOUR_MS
    assert log.retain(late) == 2
    site.mark(log, Marker.COMMIT, 1)
    log.sync()
    assert log.retain(late) > 0


def test_a_clock_that_was_once_ahead_does_not_keep_a_segment_for_ever(site: Site) -> None:
    log = site.open()
    site.clock.ms = START_MS + 1000 * HOUR_MS
    site.append(log, "from the future")
    site.clock.ms = START_MS
    site.append(log, "from today")
    log.sync()
    assert log.retain(START_MS) == 0
    assert log.retain(START_MS + HOUR_MS + 1) == 2


def test_readers_in_the_middle_of_a_removed_segment_are_told(site: Site) -> None:
    log = hourly(site, 6)
    log.read(1, 10, committed=False)
    log.retain(site.clock.ms)
    from ingest.errors import OffsetOutOfRange

    with pytest.raises(OffsetOutOfRange):
        log.read(2, 10, committed=False)


def test_what_a_refusing_disk_keeps_is_removed_later(site: Site) -> None:
    disk = site.disk
    assert isinstance(disk, RefusingDisk)
    log = hourly(site, 6)
    disk.read_only()
    with pytest.raises(StorageFailed):
        log.retain(site.clock.ms)
    assert values_of(log) == ["v3", "v4", "v5"]
    disk.refused = {}
    log.retain(site.clock.ms)
    assert [int(path.stem) for path in site.logs()] == [3, 4, 5]


@pytest.mark.parametrize("point", ["log.retain.before", "log.retain.segment", "log.retain.done"])
def test_a_crash_during_retention_loses_nothing_that_stays(site: Site, point: str) -> None:
    log = hourly(site, 6)
    arm(site.fail, point)
    with pytest.raises(Crash):
        log.retain(site.clock.ms)
    log.close(clean=False)
    again = site.open()
    assert values_of(again)[-3:] == ["v3", "v4", "v5"]
    again.retain(site.clock.ms)
    assert [int(path.stem) for path in site.logs()] == [3, 4, 5]
    assert {name[:20] for name in site.names() if name.endswith("snapshot")} <= {f"{n:020d}" for n in (3, 4, 5)}
