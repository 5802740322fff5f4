"""Appending to and reading from one partition."""

from __future__ import annotations

import struct
import threading
from pathlib import Path

import pytest
from partitions import START_MS, Site, batch_of, read_all, records_of, values_of

from ingest.errors import Closed, CorruptBatch, OffsetOutOfRange, RecordInvalid, TooLarge
from ingest.log.offset_index import OffsetIndex
from ingest.wire.batch import read_header
from ingest.wire.control import Marker


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "t-0", {"index.interval.bytes": "200"})


def test_a_new_log_is_empty_and_begins_at_zero(site: Site) -> None:
    log = site.open()
    assert (log.log_start_offset, log.log_end_offset, log.high_watermark) == (0, 0, 0)
    assert log.read(0, 100, committed=True).end == 0
    assert log.sync() == 0


def test_what_is_not_synced_is_not_seen(site: Site) -> None:
    log = site.open()
    info = site.append(log, "a", "b", "c")
    assert (info.base_offset, info.last_offset, info.duplicate) == (0, 2, False)
    assert log.log_end_offset == 3
    assert log.unsynced_bytes > 0
    assert read_all(log) == []
    assert log.sync() == 3
    assert log.unsynced_bytes == 0
    assert read_all(log) == [(0, None, b"a"), (1, None, b"b"), (2, None, b"c")]


def test_offsets_are_patched_into_the_callers_buffer(site: Site) -> None:
    log = site.open()
    site.append(log, "a")
    batch = batch_of("b", "c")
    log.append(batch, now_ms=START_MS)
    assert read_header(batch).base_offset == 1


def test_several_batches_in_one_append(site: Site) -> None:
    log = site.open()
    info = log.append(batch_of("a", "b") + batch_of("c"), now_ms=START_MS)
    assert (info.base_offset, info.last_offset) == (0, 2)
    log.sync()
    assert values_of(log) == ["a", "b", "c"]


def test_read_from_inside_a_batch_returns_that_batch(site: Site) -> None:
    log = site.open()
    site.append(log, "a", "b", "c")
    site.append(log, "d")
    log.sync()
    result = log.read(1, 1000, committed=False)
    assert [offset for offset, _, _ in records_of(result.buffer)] == [0, 1, 2, 3]
    assert (result.start, result.end) == (1, 4)


def test_a_batch_larger_than_max_bytes_is_returned_alone(site: Site) -> None:
    log = site.open()
    site.append(log, "x" * 5000)
    site.append(log, "y")
    log.sync()
    for max_bytes in (0, 1, 61, 4000):
        assert log.read(0, max_bytes, committed=False).end == 1


def test_max_bytes_bounds_what_is_read(site: Site) -> None:
    log = site.open()
    sizes = []
    for number in range(50):
        batch = batch_of(f"value {number}")
        sizes.append(len(batch))
        log.append(batch, now_ms=START_MS)
    log.sync()
    result = log.read(10, sum(sizes[10:20]) + 5, committed=False)
    assert (result.start, result.end) == (10, 20)


def test_every_offset_can_be_read_from(site: Site) -> None:
    site.settings = {"index.interval.bytes": "200", "segment.bytes": "1000"}
    log = site.open()
    for number in range(60):
        site.append(log, *(f"{number}.{row}" for row in range(3)))
    log.sync()
    assert len(site.logs()) > 3
    everything = read_all(log)
    for offset in range(180):
        assert records_of(log.read(offset, 1, committed=False).buffer)[0][0] == offset - offset % 3
        assert read_all(log, start=offset) == everything[offset:]


@pytest.mark.parametrize("offset", [-1, 4, 1000])
def test_an_offset_outside_of_the_log_is_refused(site: Site, offset: int) -> None:
    log = site.open()
    site.append(log, "a", "b", "c")
    log.sync()
    with pytest.raises(OffsetOutOfRange) as caught:
        log.read(offset, 100, committed=False)
    assert caught.value.facts["start"] == 0
    assert caught.value.facts["end"] == 3


def test_an_offset_that_is_appended_but_not_synced_may_be_waited_for(site: Site) -> None:
    log = site.open()
    site.append(log, "a", "b")
    assert log.read(1, 100, committed=False).end == 1


def test_segments_roll_by_size_and_name_their_first_offset(site: Site) -> None:
    site.settings = {"segment.bytes": "500"}
    log = site.open()
    for number in range(20):
        site.append(log, f"value {number}")
    log.sync()
    assert all(path.stat().st_size <= 500 for path in site.logs())
    firsts = [read_header(path.read_bytes()).base_offset for path in site.logs()]
    assert [int(path.stem) for path in site.logs()] == firsts
    assert len(firsts) > 2


def test_an_append_larger_than_a_segment_gets_one_of_its_own(site: Site) -> None:
    site.settings = {"segment.bytes": "500"}
    log = site.open()
    site.append(log, "a")
    site.append(log, "b" * 2000)
    site.append(log, "c")
    log.sync()
    assert [int(path.stem) for path in site.logs()] == [0, 1, 2]
    assert [len(value) for value in values_of(log)] == [1, 2000, 1]


def test_segments_roll_by_age_of_append(site: Site) -> None:
    site.settings = {"segment.ms": "1000"}
    log = site.open()
    site.append(log, "a", time_ms=5)
    site.clock.ms += 999
    site.append(log, "b", time_ms=999_999_999)
    assert len(site.logs()) == 1
    site.clock.ms += 1
    site.append(log, "c", time_ms=7)
    assert len(site.logs()) == 2


def test_the_age_of_a_segment_survives_restarts(site: Site) -> None:
    site.settings = {"segment.ms": "1000"}
    for _ in range(5):
        log = site.open(clean=True)
        site.append(log, "a")
        log.close()
        site.clock.ms += 300
    assert len(site.logs()) == 2


def test_segments_roll_when_an_index_is_full(site: Site) -> None:
    site.settings = {"segment.index.bytes": "48", "index.interval.bytes": "1"}
    log = site.open()
    for number in range(20):
        site.append(log, f"value {number}", time_ms=START_MS + number)
    log.close()
    assert len(site.logs()) > 2
    assert all(path.stat().st_size <= 48 for path in site.folder.glob("*index"))


def test_segments_roll_before_relative_offsets_overflow(site: Site) -> None:
    log = site.open()
    site.append(log, "a")
    for number in range(3):
        batch = batch_of("b")
        # As compaction leaves it: two thousand million offsets, one record. Only the hub writes such a batch.
        struct.pack_into(">i", batch, 23, 2_000_000_000)
        log.append(batch, now_ms=START_MS, kind="raw", check_crc=False)
        assert len(site.logs()) == number + 1
    log.close()
    reopened = site.open(clean=True)
    assert reopened.log_end_offset == 3 * 2_000_000_001 + 1


def test_roll_does_nothing_to_an_empty_segment(site: Site) -> None:
    log = site.open()
    log.roll()
    site.append(log, "a")
    log.roll()
    log.roll()
    log.sync()
    assert [int(path.stem) for path in site.logs()] == [0, 1]
    assert values_of(log) == ["a"]


@pytest.mark.parametrize("damage", ["flip", "cut", "trailing", "empty", "magic"])
def test_a_damaged_append_is_refused_and_leaves_nothing(site: Site, damage: str) -> None:
    log = site.open()
    batch = batch_of("abcdef")
    if damage == "flip":
        batch[-1] ^= 1
    elif damage == "cut":
        del batch[-1:]
    elif damage == "trailing":
        batch += b"xyz"
    elif damage == "empty":
        batch = bytearray()
    else:
        batch[16] = 1
    with pytest.raises(CorruptBatch):
        log.append(batch, now_ms=START_MS)
    assert log.log_end_offset == 0
    assert site.logs()[0].stat().st_size == 0


def test_the_second_of_two_batches_damaged_refuses_both(site: Site) -> None:
    log = site.open()
    batches = batch_of("a") + batch_of("b")
    batches[-1] ^= 1
    with pytest.raises(CorruptBatch):
        log.append(batches, now_ms=START_MS)
    assert log.log_end_offset == 0


def test_a_clients_batch_above_the_topics_limit_is_refused(site: Site) -> None:
    site.settings = {"max.message.bytes": "200"}
    log = site.open()
    with pytest.raises(TooLarge, match="of the topic is 200"):
        site.append(log, "x" * 500)
    site.append(log, "x" * 500, kind="raw")


def test_a_clients_control_batch_is_refused(site: Site) -> None:
    log = site.open()
    with pytest.raises(RecordInvalid):
        from ingest.wire.control import encode_marker

        log.append(encode_marker(Marker.COMMIT, 1, 0, START_MS), now_ms=START_MS)


def test_times_too_far_from_the_clock_are_refused(site: Site) -> None:
    site.settings = {"message.timestamp.before.max.ms": "1000"}
    log = site.open()
    with pytest.raises(RecordInvalid, match="ahead"):
        site.append(log, "a", time_ms=START_MS + 3_600_001)
    with pytest.raises(RecordInvalid, match="behind"):
        site.append(log, "a", time_ms=START_MS - 1001)
    site.append(log, "a", time_ms=START_MS + 3_600_000)
    site.append(log, "a", time_ms=-1)


def test_log_append_time_is_stamped(site: Site) -> None:
    site.settings = {"message.timestamp.type": "LogAppendTime"}
    log = site.open()
    info = site.append(log, "a", "b", time_ms=5)
    log.sync()
    assert info.max_timestamp == START_MS
    header = read_header(log.read(0, 1000, committed=False).buffer)
    assert header.log_append_time
    assert header.max_timestamp == START_MS
    assert values_of(log) == ["a", "b"]
    assert log.offset_for_time(START_MS) == 0


def test_offset_for_time_finds_the_first_record_at_or_after(site: Site) -> None:
    site.settings = {"segment.bytes": "700", "index.interval.bytes": "1"}
    log = site.open()
    for number in range(40):
        site.append(log, f"a{number}", f"b{number}", time_ms=START_MS + 10 * number)
    log.sync()
    assert len(site.logs()) > 3
    for number in range(40):
        assert log.offset_for_time(START_MS + 10 * number) == 2 * number
        assert log.offset_for_time(START_MS + 10 * number - 5) == 2 * number
    assert log.offset_for_time(START_MS + 391) is None
    assert log.offset_for_time(0) == 0


def test_offset_for_time_with_times_out_of_order(site: Site) -> None:
    site.settings = {"index.interval.bytes": "1"}
    log = site.open()
    times = [50, 10, 70, 20, 70, 60, 90, 5]
    for time_ms in times:
        site.append(log, "x", time_ms=time_ms)
    log.sync()
    for wanted in range(0, 100, 5):
        expected = next((offset for offset, time_ms in enumerate(times) if time_ms >= wanted), None)
        assert log.offset_for_time(wanted) == expected


def test_offset_for_time_does_not_see_what_is_not_synced(site: Site) -> None:
    log = site.open()
    site.append(log, "a")
    assert log.offset_for_time(0) is None


def test_delete_before_moves_the_start_and_removes_whole_segments(site: Site) -> None:
    site.settings = {"segment.bytes": "300"}
    log = site.open()
    for number in range(20):
        site.append(log, f"a{number}", f"b{number}")
    log.sync()
    before = len(site.logs())
    log.delete_before(21)
    assert log.log_start_offset == 21
    assert len(site.logs()) < before
    assert values_of(log)[0] == "b10"
    with pytest.raises(OffsetOutOfRange):
        log.read(20, 100, committed=False)
    log.delete_before(5)
    assert log.log_start_offset == 21


def test_delete_before_the_very_end_empties_the_log_and_keeps_its_offsets(site: Site) -> None:
    log = site.open()
    site.append(log, "a", "b")
    log.sync()
    log.delete_before(2)
    assert read_all(log) == []
    log.close()
    again = site.open(log_start_offset=2)
    assert site.append(again, "c").base_offset == 2


def test_delete_before_an_offset_that_is_not_synced_is_refused(site: Site) -> None:
    log = site.open()
    site.append(log, "a", "b")
    with pytest.raises(OffsetOutOfRange):
        log.delete_before(1)


def test_a_closed_log_refuses_everything(site: Site) -> None:
    log = site.open()
    log.close()
    log.close()
    for call in (lambda: site.append(log, "a"), log.sync, lambda: log.read(0, 1, committed=False), log.roll):
        with pytest.raises(Closed):
            call()


def test_delete_removes_the_folder(site: Site) -> None:
    log = site.open()
    site.append(log, "a")
    log.delete()
    assert not site.folder.exists()


def test_a_clean_restart_changes_nothing_and_reads_no_batch(site: Site) -> None:
    site.settings = {"segment.bytes": "500", "index.interval.bytes": "100"}
    log = site.open()
    for number in range(30):
        site.append(log, f"value {number}")
    log.close()
    before = {path.name: path.read_bytes() for path in site.folder.iterdir()}
    again = site.open(clean=True, recovery_point=30)
    assert again.high_watermark == 30
    assert len(values_of(again)) == 30
    again.close()
    assert {path.name: path.read_bytes() for path in site.folder.iterdir()} == before
    assert site.reports == []


def test_offset_index_entries_are_kafkas(site: Site) -> None:
    site.settings = {"index.interval.bytes": "100"}
    log = site.open()
    for number in range(10):
        site.append(log, f"value {number}")
    log.close()
    size = len(batch_of("value 0"))
    index = OffsetIndex(site.folder / "00000000000000000000.index", 0, on_disk=True)
    # The first entry comes with the batch that finds more than 100 bytes behind the last entry.
    assert index.all() == [(offset, offset * size) for offset in range(2, 10, 2)]
    assert (site.folder / "00000000000000000000.timeindex").stat().st_size == 12


def test_readers_beside_a_writer_see_a_growing_prefix(site: Site) -> None:
    site.settings = {"segment.bytes": "4000", "index.interval.bytes": "300"}
    log = site.open()
    done = threading.Event()
    faults: list[BaseException] = []

    def read_along() -> None:
        try:
            offset = 0
            while not (done.is_set() and offset == log.high_watermark):
                result = log.read(offset, 700, committed=False)
                assert result.end <= log.high_watermark
                for found, _, value in records_of(result.buffer):
                    assert value == b"value %d" % found
                    offset = max(offset, found + 1)
                assert offset == max(offset, result.end)
        except BaseException as error:
            faults.append(error)

    readers = [threading.Thread(target=read_along) for _ in range(3)]
    for reader in readers:
        reader.start()
    offset = 0
    try:
        for _ in range(150):
            for _ in range(3):
                site.append(log, *(f"value {offset + row}" for row in range(4)))
                offset += 4
            log.sync()
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert faults == []
    assert len(site.logs()) > 5
