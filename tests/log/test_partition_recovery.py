"""Opening after a crash: a torn tail is cut at the first bad batch, and nothing before it is touched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from partitions import Crash, Site, arm, batch_of, read_all, values_of

from ingest.errors import CorruptBatch
from ingest.log.partition import PartitionLog
from ingest.wire.batch import whole_batches
from ingest.wire.control import Marker


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "t-0", {"index.interval.bytes": "100"})


def crashed(site: Site, *values: str) -> PartitionLog:
    """A log of these values, one batch each, synced and left as a kill leaves it."""
    log = site.open()
    for value in values:
        site.append(log, value)
    log.sync()
    log.close(clean=False)
    return log


def ends(path: Path) -> list[int]:
    """Where each batch of the file ends."""
    return [position + header.size_bytes for position, header in whole_batches(path.read_bytes())]


def test_after_a_kill_everything_written_is_there(site: Site) -> None:
    site.settings = {"segment.bytes": "300"}
    crashed(site, *(f"value {number}" for number in range(20)))
    log = site.open()
    assert values_of(log) == [f"value {number}" for number in range(20)]
    assert log.leader_epoch == 0
    assert not any("cut" in report for report in site.reports)


def test_every_cut_length_keeps_the_whole_batches_before_it(site: Site, tmp_path: Path) -> None:
    crashed(site, "one", "two", "three")
    whole = site.logs()[0].read_bytes()
    batch_ends = ends(site.logs()[0])
    for length in range(len(whole)):
        copy = Site(tmp_path / f"cut-{length}" / "t-0")
        shutil.copytree(site.folder, copy.folder)
        copy.logs()[0].write_bytes(whole[:length])
        log = copy.open()
        kept = sum(end <= length for end in batch_ends)
        assert values_of(log) == ["one", "two", "three"][:kept], length
        assert log.log_end_offset == kept
        assert bool(copy.reports) == (length not in (0, *batch_ends))
        assert copy.append(log, "next").base_offset == kept
        log.close(clean=False)
        shutil.rmtree(copy.folder)


def test_every_flipped_byte_is_seen_and_costs_nothing_before_it(site: Site, tmp_path: Path) -> None:
    crashed(site, "one", "two", "three")
    whole = site.logs()[0].read_bytes()
    first, second, _ = ends(site.logs()[0])
    # The leader epoch (bytes 12 to 15) is outside of the CRC, as the base offset is; a base offset that only
    # grows leaves a gap, which is legal.
    outside = {first + byte for byte in range(12, 16)}
    for position in range(first, second):
        copy = Site(tmp_path / f"flip-{position}" / "t-0")
        shutil.copytree(site.folder, copy.folder)
        damaged = bytearray(whole)
        damaged[position] ^= 0x41
        copy.logs()[0].write_bytes(damaged)
        log = copy.open()
        values = values_of(log)
        if position in outside:
            assert values == ["one", "two", "three"]
        elif position < first + 8:
            assert values in (["one"], ["one", "two"])
        else:
            assert values == ["one"], position - first
            assert (log.log_end_offset, log.leader_epoch) == (1, 1)
        assert copy.append(log, "next").base_offset == log.log_end_offset - 1
        log.close(clean=False)
        shutil.rmtree(copy.folder)


def test_what_follows_a_cut_in_later_segments_goes_too(site: Site) -> None:
    site.settings = {"segment.bytes": "160"}
    crashed(site, *(f"value {number}" for number in range(10)))
    second = site.logs()[1]
    damaged = bytearray(second.read_bytes())
    damaged[-1] ^= 1
    second.write_bytes(damaged)
    log = site.open()
    kept = values_of(log)
    assert kept == [f"value {number}" for number in range(len(kept))]
    assert len(kept) == 3
    assert len(site.logs()) == 2
    assert any("cut" in report for report in site.reports)
    assert any("removed" in report for report in site.reports)


def test_what_lies_before_the_recovery_point_is_not_read_again(site: Site) -> None:
    site.settings = {"segment.bytes": "160"}
    crashed(site, *(f"value {number}" for number in range(10)))
    site.open(clean=True).close()
    first = site.logs()[0]
    damaged = bytearray(first.read_bytes())
    damaged[-1] ^= 1
    first.write_bytes(damaged)
    log = site.open(recovery_point=9)
    assert log.log_end_offset == 10
    assert first.read_bytes() == bytes(damaged)


def test_a_batch_that_rotted_before_the_recovery_point_costs_only_itself(site: Site) -> None:
    crashed(site, "one", "two", "three", "four")
    path = site.logs()[0]
    damaged = bytearray(path.read_bytes())
    damaged[ends(path)[1] - 1] ^= 1
    path.write_bytes(damaged)
    log = site.open(recovery_point=3)
    assert log.log_end_offset == 4
    assert values_of(log, start=2) == ["three", "four"]
    with pytest.raises(CorruptBatch):
        values_of(log)
    log.close(clean=False)
    assert site.open(recovery_point=1).log_end_offset == 1


def test_offsets_that_were_on_disk_are_not_given_out_again(site: Site) -> None:
    crashed(site, "one", "two", "three")
    site.logs()[0].write_bytes(b"")
    log = site.open(recovery_point=3)
    assert any("gone" in report for report in site.reports)
    assert site.append(log, "four").base_offset == 3
    log.sync()
    assert read_all(log, start=0) == [(3, None, b"four")]
    assert log.leader_epoch == 1
    log.close()
    assert read_all(site.open(clean=True), start=0) == [(3, None, b"four")]


def test_a_whole_tail_that_is_cut_keeps_its_base_offset(site: Site) -> None:
    site.settings = {"segment.bytes": "90"}
    crashed(site, "one", "two", "three")
    last = site.logs()[-1]
    assert int(last.stem) == 2
    last.write_bytes(b"\0" * 50)
    log = site.open()
    assert log.log_end_offset == 2
    assert site.append(log, "again").base_offset == 2


def test_zeros_behind_the_end_are_cut(site: Site) -> None:
    crashed(site, "one")
    with site.logs()[0].open("ab") as file:
        file.write(b"\0" * 10_000)
    log = site.open()
    assert values_of(log) == ["one"]
    assert site.logs()[0].stat().st_size == len(batch_of("one"))


def test_a_batch_whose_offsets_do_not_rise_is_cut(site: Site) -> None:
    crashed(site, "one", "two")
    with site.logs()[0].open("ab") as file:
        file.write(batch_of("stale", base_offset=1))
    log = site.open()
    assert values_of(log, max_bytes=10_000) == ["one", "two"]
    assert log.log_end_offset == 2
    assert site.logs()[0].stat().st_size == len(batch_of("one")) + len(batch_of("two"))


def test_a_huge_claimed_length_takes_no_memory(site: Site) -> None:
    crashed(site, "one")
    with site.logs()[0].open("ab") as file:
        file.write((1).to_bytes(8, "big") + (2**31 - 1).to_bytes(4, "big") + b"\0\0\0\0\2" + b"\0" * 100)
    assert values_of(site.open()) == ["one"]


@pytest.mark.parametrize("kind", [".index", ".timeindex"])
@pytest.mark.parametrize("damage", ["missing", "short", "odd", "wild"])
@pytest.mark.parametrize("clean", [True, False])
def test_damaged_indexes_are_made_again(site: Site, kind: str, damage: str, clean: bool) -> None:
    site.settings = {"segment.bytes": "600", "index.interval.bytes": "1"}
    log = site.open()
    for number in range(30):
        site.append(log, f"value {number}", time_ms=1000 + number)
    log.close()
    before = {path.name: path.read_bytes() for path in site.folder.glob("*index")}
    for path in site.folder.glob(f"*{kind}"):
        if damage == "missing":
            path.unlink()
        elif damage == "short":
            path.write_bytes(b"")
        elif damage == "odd":
            path.write_bytes(path.read_bytes()[:-1])
        else:
            path.write_bytes(b"\x7f" * len(path.read_bytes()))
    again = site.open(clean=clean, recovery_point=30)
    assert values_of(again) == [f"value {number}" for number in range(30)]
    assert [again.offset_for_time(1000 + number) for number in range(30)] == list(range(30))
    if damage != "short" or kind == ".timeindex":
        again.close()
        assert {path.name: path.read_bytes() for path in site.folder.glob("*index")} == before


def test_leftovers_of_every_kind_are_tidied_and_reported(site: Site) -> None:
    crashed(site, "one")
    for name in ("00000000000000000000.log.cleaned", "00000000000000000009.index", "00000000000000000000.log.deleted",
                 "leader-epoch-checkpoint.tmp", "00000000000000000077.snapshot",
                 "00000000000000000000.timeindex.cleaned"):  # fmt: skip
        (site.folder / name).write_bytes(b"whatever")
    log = site.open()
    assert values_of(log) == ["one"]
    log.close()
    assert site.names() == [
        "00000000000000000000.index", "00000000000000000000.log", "00000000000000000000.snapshot",
        "00000000000000000000.timeindex", "00000000000000000001.snapshot", "leader-epoch-checkpoint",
    ]  # fmt: skip
    assert len(site.reports) >= 4


@pytest.mark.parametrize("damage", [b"", b"\0\1", b"\xff" * 60])
def test_a_damaged_snapshot_is_made_again_from_the_log(site: Site, damage: bytes) -> None:
    site.settings = {"segment.bytes": "200"}
    log = site.open()
    for number in range(6):
        site.append(log, "v", producer_id=5, producer_epoch=1, base_sequence=number)
    log.close()
    for path in site.folder.glob("*.snapshot"):
        path.write_bytes(damage)
    for clean in (True, False):
        again = site.open(clean=clean, recovery_point=6)
        retried = site.append(again, "v", producer_id=5, producer_epoch=1, base_sequence=5)
        assert (retried.base_offset, retried.duplicate) == (5, True)
        again.close(clean=False)


@pytest.mark.parametrize("content", ["", "1\n", "0\n2\n0 0\n", "nonsense", "0\n1\n0 0"])
def test_a_damaged_epoch_checkpoint_is_made_again(site: Site, content: str) -> None:
    crashed(site, "one")
    path = site.folder / "leader-epoch-checkpoint"
    path.write_text(content)
    assert site.open().leader_epoch == 0
    assert path.read_text() == "0\n1\n0 0\n"


@pytest.mark.parametrize("point", ["begin", "segment", "cut", "done"])
def test_a_crash_during_recovery_is_recovered_from(site: Site, point: str) -> None:
    crashed(site, "one", "two")
    with site.logs()[0].open("ab") as file:
        file.write(b"torn")
    arm(site.fail, f"log.recover.{point}")
    with pytest.raises(Crash):
        site.open()
    assert values_of(site.open()) == ["one", "two"]


def test_open_transactions_and_aborted_ones_survive_a_crash(site: Site) -> None:
    site.settings = {"segment.bytes": "250"}
    log = site.open()
    site.append(log, "void", producer_id=1, producer_epoch=0, base_sequence=0, transactional=True)
    site.append(log, "plain")
    site.mark(log, Marker.ABORT, 1)
    site.append(log, "good", producer_id=1, producer_epoch=0, base_sequence=1, transactional=True)
    site.mark(log, Marker.COMMIT, 1)
    site.append(log, "pending", producer_id=2, producer_epoch=3, base_sequence=0, transactional=True)
    site.append(log, "behind")
    log.sync()
    log.close(clean=False)
    for path in site.folder.glob("*.txnindex"):
        path.unlink()
    for options in ({}, {"recovery_point": 7}):
        again = site.open(**options)
        assert values_of(again, committed=True) == ["plain", "good"]
        assert again.open_transactions() == {2: (3, 5)}
        assert again.last_stable_offset == 5
        again.close(clean=False)
    again = site.open()
    site.mark(again, Marker.COMMIT, 2, 3)
    again.close()
    assert values_of(site.open(clean=True), committed=True) == ["plain", "good", "pending", "behind"]


def test_a_marker_that_rotted_leaves_its_transaction_open(site: Site) -> None:
    log = site.open()
    site.append(log, "value", producer_id=1, producer_epoch=0, base_sequence=0, transactional=True)
    site.mark(log, Marker.COMMIT, 1)
    site.append(log, "behind")
    log.sync()
    log.close(clean=False)
    path = site.logs()[0]
    damaged = bytearray(path.read_bytes())
    start, end = ends(path)[:2]
    damaged[start + 61 : end] = b"\x7f" * (end - start - 61)
    path.write_bytes(damaged)
    for options in ({"recovery_point": 3}, {"clean": True}):
        log = site.open(**options)
        assert log.open_transactions() == {1: (0, 0)}
        log.close(clean=False)
    site.mark(log := site.open(recovery_point=3), Marker.COMMIT, 1)
    assert log.open_transactions() == {}


def test_a_view_sees_what_its_owner_has_synced_and_touches_nothing(site: Site) -> None:
    site.settings = {"segment.bytes": "300", "index.interval.bytes": "1"}
    log = site.open()
    for number in range(10):
        site.append(log, f"value {number}")
    log.sync()
    before = {path.name: path.read_bytes() for path in site.folder.iterdir()}
    view = site.view(synced_limit=7)
    assert values_of(view) == [f"value {number}" for number in range(7)]
    view.refresh(10)
    assert len(values_of(view)) == 10
    assert {path.name: path.read_bytes() for path in site.folder.iterdir()} == before
    for number in range(10, 40):
        site.append(log, f"value {number}")
    log.sync()
    view.refresh(log.high_watermark)
    assert values_of(view) == [f"value {number}" for number in range(40)]
    log.delete_before(20)
    assert values_of(view, start=25)[0] == "value 25"
    unknown = site.view()
    assert values_of(unknown)[-1] == "value 39"


def test_a_view_of_a_torn_log_ends_before_the_tear(site: Site) -> None:
    crashed(site, "one", "two")
    with site.logs()[0].open("ab") as file:
        file.write(batch_of("three")[:-1])
    size = site.logs()[0].stat().st_size
    assert values_of(site.view()) == ["one", "two"]
    assert site.logs()[0].stat().st_size == size
