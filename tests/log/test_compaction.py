"""Compaction keeps the last value of each key, and everything that a crash or a reader needs meanwhile."""

from __future__ import annotations

import contextlib
import random
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partitions import START_MS, Crash, RefusingDisk, Site, arm, batch_of, read_all

from ingest.errors import StorageFailed
from ingest.log.key_table import KeyTable
from ingest.log.partition import PartitionLog
from ingest.wire.batch import whole_batches
from ingest.wire.control import Marker

DAY_MS = 86_400_000
Record = tuple[int, bytes | None, bytes | None]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(
        tmp_path / "t-0",
        {
            "cleanup.policy": "compact",
            "segment.bytes": "400",
            "index.interval.bytes": "100",
            "min.cleanable.dirty.ratio": "0",
            "delete.retention.ms": str(DAY_MS),
        },
    )


def put(site: Site, log: PartitionLog, **pairs: str | None) -> None:
    """One batch; a value of None is a tombstone."""
    log.append(batch_of(*pairs.values(), keys=list(pairs), time_ms=site.clock.ms), now_ms=site.clock.ms, kind="raw")


def filled(site: Site, rounds: int = 12) -> PartitionLog:
    log = site.open()
    for number in range(rounds):
        put(site, log, a=f"a{number}", b=f"b{number}", **{f"once{number}": "x"})
    log.roll()
    log.sync()
    return log


def latest(records: list[Record]) -> dict[bytes | None, Record]:
    return {record[1]: record for record in records}


def test_the_last_value_of_each_key_stays_with_its_offset(site: Site) -> None:
    log = filled(site)
    before = read_all(log)
    result = log.compact(site.clock.ms)
    after = read_all(log)
    assert after == sorted(latest(before).values())
    assert result.bytes_after < result.bytes_before
    assert result.clean_until == log.log_end_offset == 36
    log.close()
    assert read_all(site.open(clean=True)) == after


def test_the_active_segment_is_left_alone(site: Site) -> None:
    log = filled(site)
    put(site, log, a="newest")
    put(site, log, a="the very newest")
    log.sync()
    log.compact(site.clock.ms)
    values = [value for _, key, value in read_all(log) if key == b"a"]
    assert values[-2:] == [b"newest", b"the very newest"]


def test_every_offset_of_a_gap_reads_on_at_the_next_record(site: Site) -> None:
    log = filled(site)
    log.compact(site.clock.ms)
    records = read_all(log)
    for offset in range(log.log_end_offset):
        assert read_all(log, start=offset) == [record for record in records if record[0] >= offset]
    assert log.offset_for_time(0) == records[0][0]


def test_neighbours_are_merged_up_to_the_size_of_a_segment(site: Site) -> None:
    log = site.open()
    for _ in range(30):
        put(site, log, a="x" * 100)
    log.roll()
    log.sync()
    before = len(site.logs())
    for _ in range(6):
        put(site, log, a="x" * 100)
        log.roll()
        log.sync()
        log.compact(site.clock.ms)
    assert before > 5
    assert len(site.logs()) <= 3
    assert [key for _, key, _ in read_all(log)] == [b"a"]


def test_a_second_run_with_nothing_new_does_nothing(site: Site) -> None:
    log = filled(site)
    log.compact(site.clock.ms)
    assert log.compact(site.clock.ms).segments == 0
    log.close()
    assert site.open(clean=True).compact(site.clock.ms).segments == 0


def test_a_lost_checkpoint_costs_time_only(site: Site) -> None:
    log = filled(site)
    log.compact(site.clock.ms)
    kept = read_all(log)
    (site.folder / "cleaner-offset-checkpoint").write_text("damaged")
    assert log.compact(site.clock.ms).segments > 0
    assert read_all(log) == kept


def test_it_waits_until_enough_is_dirty_or_old(site: Site) -> None:
    site.settings = {**site.settings, "min.cleanable.dirty.ratio": "0.9", "max.compaction.lag.ms": "5000"}
    log = filled(site)
    assert log.compact(site.clock.ms).segments > 0
    put(site, log, a="again")
    log.roll()
    log.sync()
    assert log.compact(site.clock.ms).segments == 0
    assert log.compact(site.clock.ms + 5001).segments > 0


def test_young_segments_are_left_alone(site: Site) -> None:
    site.settings = {**site.settings, "min.compaction.lag.ms": "1000"}
    log = filled(site)
    assert log.compact(site.clock.ms + 999).segments == 0
    assert log.compact(site.clock.ms + 1000).segments > 0


def test_a_topic_that_is_not_compacted_is_left_alone(site: Site) -> None:
    site.settings = {"segment.bytes": "400"}
    assert filled(site).compact(site.clock.ms).segments == 0


def test_tombstones_stay_for_a_day_after_the_first_compaction(site: Site) -> None:
    log = site.open()
    put(site, log, a="1", b="2")
    put(site, log, a=None)
    log.roll()
    log.sync()
    log.compact(site.clock.ms)
    assert read_all(log) == [(1, b"b", b"2"), (2, b"a", None)]
    for later_ms in (DAY_MS - 1, DAY_MS):
        put(site, log, b="3")
        log.roll()
        log.sync()
        log.compact(START_MS + later_ms)
        assert (b"a" in latest(read_all(log))) == (later_ms < DAY_MS)


def test_a_tombstone_beyond_what_the_memory_for_keys_reaches_outlives_the_value_it_deletes(site: Site) -> None:
    site.settings = {**site.settings, "segment.bytes": "1000000"}
    log = site.open()
    put(site, log, deleted="value")
    for number in range(60):
        put(site, log, **{f"other{number}": "x"})
    put(site, log, deleted=None)
    log.roll()
    log.sync()
    reached = []
    while log.log_end_offset not in reached:
        reached.append(log.compact(site.clock.ms, table_bytes=400).clean_until)
        assert latest(read_all(log)).get(b"deleted", (0, b"", None))[2] is None
        site.clock.ms += DAY_MS
    assert len(reached) > 2, "the table is too large for this test"


def test_a_tombstone_keeps_its_own_time(site: Site) -> None:
    log = site.open()
    site.clock.ms = START_MS
    put(site, log, a=None)
    log.roll()
    log.sync()
    log.compact(site.clock.ms)
    assert log.offset_for_time(START_MS) == 0
    assert log.offset_for_time(START_MS + 1) is None


def test_records_without_a_key_stay(site: Site) -> None:
    log = site.open()
    site.append(log, "no key", "none either")
    put(site, log, a="1")
    put(site, log, a="2")
    log.roll()
    log.sync()
    log.compact(site.clock.ms)
    assert [value for _, _, value in read_all(log)] == [b"no key", b"none either", b"2"]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_batches_stay_compressed(site: Site, codec: str) -> None:
    log = site.open()
    for number in range(8):
        batch = batch_of(f"{number}", "x" * 50, keys=["a", f"k{number}"], compression=codec)
        log.append(batch, now_ms=site.clock.ms)
    log.roll()
    log.sync()
    log.compact(site.clock.ms)
    assert len(read_all(log)) == 9
    codecs = {header.codec for _, header in whole_batches(site.logs()[0].read_bytes())}
    assert codecs == {codec}


def test_aborted_data_goes_and_committed_data_is_compacted(site: Site) -> None:
    log = site.open()

    def transact(marker: Marker, sequence: int, **pairs: str) -> None:
        log.append(
            batch_of(*pairs.values(), keys=list(pairs), producer_id=1, producer_epoch=0, base_sequence=sequence,
                     transactional=True),
            now_ms=site.clock.ms,
        )  # fmt: skip
        site.mark(log, marker, 1)

    transact(Marker.COMMIT, 0, a="1", b="1")
    transact(Marker.ABORT, 2, a="void", c="void")
    put(site, log, d="plain")
    transact(Marker.COMMIT, 4, b="2")
    log.roll()
    log.sync()
    seen = read_all(log, committed=True)
    for run in range(3):
        log.compact(START_MS + run * 2 * DAY_MS)
        assert read_all(log, committed=True) == sorted(latest(seen).values())
        put(site, log, d=f"plain {run}")
        log.roll()
        log.sync()
        seen = read_all(log, committed=True)
    assert b"void" not in {value for _, _, value in read_all(log, committed=False)}
    # Where its sequence stands is not forgotten, though the marker of the aborted transaction is gone by now.
    markers = [h for path in site.logs() for _, h in whole_batches(path.read_bytes()) if h.is_control]
    assert len(markers) < 3
    log.close(clean=False)
    for path in site.folder.glob("*.snapshot"):
        path.unlink()
    again = site.open()
    assert again.open_transactions() == {}
    assert read_all(again, committed=True) == seen
    retried = batch_of("2", keys=["b"], producer_id=1, producer_epoch=0, base_sequence=4, transactional=True)
    assert again.append(retried, now_ms=site.clock.ms).duplicate


def test_an_open_transaction_stops_it(site: Site) -> None:
    log = site.open()
    put(site, log, a="1")
    log.roll()
    site.append(log, "open", keys=["a"], producer_id=1, producer_epoch=0, base_sequence=0, transactional=True)
    log.roll()
    put(site, log, a="2")
    log.roll()
    log.sync()
    log.compact(site.clock.ms)
    assert [value for _, _, value in read_all(log)] == [b"1", b"open", b"2"]


def test_a_table_that_is_too_small_is_filled_as_far_as_it_goes(site: Site) -> None:
    log = filled(site, rounds=30)
    before = read_all(log)
    ends = []
    for _ in range(100):
        result = log.compact(site.clock.ms, table_bytes=400)
        if not result.segments:
            break
        ends.append(result.clean_until)
        assert latest(read_all(log)) == latest(before)
    assert len(ends) > 2
    assert ends == sorted(set(ends))
    assert read_all(log) == sorted(latest(before).values())


POINTS = ["written", "synced", "renamed", "swap", "removed", "replaced", "done"]


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("point", POINTS)
def test_a_crash_at_any_step_loses_no_last_value(site: Site, point: str, count: int) -> None:
    log = filled(site)
    before = latest(read_all(log))
    arm(site.fail, f"log.compact.{point}", count=count)
    with contextlib.suppress(Crash):
        log.compact(site.clock.ms)
    view = site.view(synced_limit=36)
    assert latest(read_all(view)) == before
    log.close(clean=False)
    again = site.open(recovery_point=36)
    assert latest(read_all(again)) == before
    assert again.log_end_offset == 36
    again.compact(site.clock.ms)
    assert read_all(again) == sorted(before.values())
    assert not [name for name in site.names() if name.endswith((".cleaned", ".swap"))]


@pytest.mark.parametrize("operation", ["sync", "sync_folder", "replace", "unlink", "truncate"])
def test_a_disk_that_refuses_is_tried_again(site: Site, operation: str) -> None:
    disk = site.disk
    assert isinstance(disk, RefusingDisk)
    log = filled(site)
    before = latest(read_all(log))
    disk.refused = {operation: 28}
    with pytest.raises(StorageFailed):
        log.compact(site.clock.ms)
    assert latest(read_all(log)) == before
    disk.refused = {}
    put(site, log, a="and on")
    log.sync()
    log.compact(site.clock.ms)
    log.close()
    assert not [name for name in site.names() if name.endswith((".cleaned", ".swap"))]
    assert len(read_all(site.open(clean=True))) == len(before) + 1


@pytest.mark.parametrize(("operation", "suffix"), [("replace", ".log.cleaned"), ("sync_folder", "")])
def test_a_swap_that_was_refused_half_way_leaves_nothing_for_the_next_opening(
    site: Site, operation: str, suffix: str
) -> None:
    class Refusing(RefusingDisk):
        """Refuses ``operation`` once the swap has begun."""

        def _ask(self, asked: str, path: Path) -> None:
            begun = bool(list(site.folder.glob("*.swap")))
            if asked == operation and begun and path.name.endswith(suffix):
                super()._ask(asked, path)

    disk = site.disk = Refusing()
    log = filled(site)
    before = read_all(log)
    disk.refused = {operation: 5}
    with pytest.raises(StorageFailed):
        log.compact(site.clock.ms)
    disk.refused = {}
    log.sync()
    log.close()
    assert not [name for name in site.names() if name.endswith((".cleaned", ".swap"))]
    log = site.open(clean=True)
    for offset in range(log.log_end_offset):
        assert read_all(log, start=offset) == before[offset:]


def test_readers_beside_it_see_every_last_value(site: Site) -> None:
    log = filled(site, rounds=5)
    expected: dict[bytes | None, bytes | None] = {}
    stop = threading.Event()
    faults: list[BaseException] = []

    def read_along() -> None:
        try:
            while not stop.is_set():
                records = read_all(log, max_bytes=150)
                offsets = [offset for offset, _, _ in records]
                assert offsets == sorted(set(offsets))
                keys = {key for _, key, _ in records}
                assert {b"a", b"b", b"once0"} <= keys
                log.offset_for_time(START_MS)
        except BaseException as error:
            faults.append(error)

    reader = threading.Thread(target=read_along)
    reader.start()
    try:
        for number in range(60):
            put(site, log, a=f"{number}", b="x" * (number % 50))
            log.sync()
            if number % 4 == 0:
                log.compact(site.clock.ms)
    finally:
        stop.set()
        reader.join()
    expected = {key: value for _, key, value in read_all(log)}
    assert faults == []
    assert expected[b"a"] == b"59"


@given(
    rounds=st.lists(
        st.tuples(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=6), st.booleans()),
        max_size=25,
    ),
    seed=st.integers(0, 9),
)
@settings(max_examples=40, deadline=None)
def test_against_a_dictionary(tmp_path_factory: pytest.TempPathFactory, rounds: list, seed: int) -> None:
    site = Site(
        tmp_path_factory.mktemp("p") / "t-0",
        {"cleanup.policy": "compact", "segment.bytes": "300", "min.cleanable.dirty.ratio": "0",
         "delete.retention.ms": "0"},
    )  # fmt: skip
    log = site.open()
    wanted: dict[bytes, bytes | None] = {}
    rng = random.Random(seed)
    for pairs, compact in rounds:
        keys = [f"k{number}" for number, _ in pairs]
        values = [None if dead else f"{rng.random()}" for _, dead in pairs]
        log.append(batch_of(*values, keys=keys), now_ms=START_MS)
        wanted.update({key.encode(): value and value.encode() for key, value in zip(keys, values, strict=True)})
        if compact:
            log.roll()
            log.sync()
            site.clock.ms += 10
            log.compact(site.clock.ms)
    log.sync()
    found: dict[bytes, bytes | None] = {}
    for _, key, value in read_all(log):
        assert key is not None
        found[key] = value
    assert {k: v for k, v in found.items() if v is not None} == {k: v for k, v in wanted.items() if v is not None}
    log.close(clean=False)
    assert read_all(site.open()) == read_all(site.open())


def test_the_key_table_keeps_the_largest_offset_of_whole_keys() -> None:
    table = KeyTable(1 << 20)
    assert table.add(pa.array([b"a", b"b", None, b"a"]), np.array([1, 2, 3, 4]))
    assert table.add(pa.array([b"b", b""], pa.large_binary()), np.array([9, 10]))
    found = table.last_offsets(pa.array([b"a", b"b", b"", b"c", None], pa.binary()))
    assert found.tolist() == [4, 9, 10, -1, -1]
    assert len(table) == 3


def test_the_key_table_refuses_what_exceeds_its_budget() -> None:
    table = KeyTable(1000)
    taken = 0
    for start in range(0, 1000, 10):
        if not table.add(pa.array([f"key {n}".encode() for n in range(start, start + 10)]), np.arange(10)):
            break
        taken += 10
    assert 20 <= taken <= 80
    assert len(table) == taken
