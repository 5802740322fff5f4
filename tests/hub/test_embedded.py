"""The embedded hub as its contract says."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hubs import open_hub, read, records

from ingest.connectors import HEADERS, TIMESTAMP, Records, TopicPartition
from ingest.disk import SystemDisk
from ingest.errors import (
    FolderInvalid,
    FormatError,
    OffsetOutOfRange,
    StorageFull,
    TooLarge,
    TopicMissing,
    TransactionInvalid,
)
from ingest.hub.embedded import EmbeddedHub

PLACE = TopicPartition("t", 0)


@pytest.fixture
def hub(tmp_path: Path):
    opened = open_hub(tmp_path / "data")
    opened.create_topic("t")
    yield opened
    opened.close()


def test_every_column_comes_back(hub: EmbeddedHub) -> None:
    sent = Records(
        topic="t",
        value=pa.array([b"a", None, b""], pa.binary()),
        key=pa.array(["k", None, ""], pa.string()),
        timestamp=pa.array([1, 2, 3], TIMESTAMP),
        headers=pa.array([[("h", b"1"), ("n", None)], [], [("h", b"2")]], HEADERS),
        common_headers=(("c", b"x"),),
    )
    assert hub.append(sent, 0).result(10).count == 3
    found = hub.read("t", 0, 0, max_bytes=1000).records
    assert found is not None
    assert found.value.to_pylist() == [b"a", None, b""]
    assert found.key is not None
    assert found.key.to_pylist() == [b"k", None, b""]
    assert found.timestamp is not None
    assert found.timestamp.type == TIMESTAMP
    assert found.timestamp.cast(pa.int64()).to_pylist() == [1, 2, 3]
    assert found.headers is not None
    assert [[(pair["key"], pair["value"]) for pair in row] for row in found.headers.to_pylist()] == [
        [("c", b"x"), ("h", b"1"), ("n", None)],
        [("c", b"x")],
        [("c", b"x"), ("h", b"2")],
    ]
    assert (found.topic, found.partition, found.offsets) == ("t", 0, pa.array([0, 1, 2]))


def test_headers_are_left_out_for_a_reader_that_does_not_want_them(hub: EmbeddedHub) -> None:
    headers = pa.array([[("h", b"1")], []], HEADERS)
    hub.append(Records(topic="t", value=pa.array([b"x", b"y"]), headers=headers), 0).result(10)
    found = hub.read("t", 0, 0, max_bytes=10_000, want_headers=False).records
    assert found is not None
    assert found.headers is None
    assert found.value.to_pylist() == [b"x", b"y"]


def test_columns_that_only_some_batches_have_are_filled(hub: EmbeddedHub) -> None:
    hub.append(records("plain"), 0).result(10)
    headers = pa.array([[("h", b"1")]], HEADERS)
    hub.append(Records(topic="t", value=pa.array([b"x"]), key=pa.array([b"k"]), headers=headers), 0).result(10)
    found = hub.read("t", 0, 0, max_bytes=10_000).records
    assert found is not None
    assert found.key is not None
    assert found.headers is not None
    assert found.key.to_pylist() == [None, b"k"]
    assert [len(row) for row in found.headers.to_pylist()] == [0, 1]


def test_a_read_may_begin_inside_a_batch(hub: EmbeddedHub) -> None:
    hub.append(records(*"abcdef"), 0).result(10)
    fetched = hub.read("t", 0, 4, max_bytes=1)
    assert fetched.records is not None
    assert (fetched.start, fetched.end, fetched.high_watermark) == (4, 6, 6)
    assert fetched.records.value.to_pylist() == [b"e", b"f"]


def test_bulk_is_cut_into_batches_and_read_back_in_pieces(hub: EmbeddedHub) -> None:
    values = pa.array([b"%07d" % n + b"x" * 93 for n in range(50_000)])
    assert hub.append(Records(topic="t", value=values), 0).result(30).base_offset == 0
    offset, parts = 0, []
    while offset < hub.end_offset("t", 0):
        fetched = hub.read("t", 0, offset, max_bytes=1 << 20)
        assert fetched.records is not None
        assert fetched.records.value.nbytes < 3 << 20
        parts.append(fetched.records.value)
        offset = fetched.end
    assert len(parts) > 2
    assert pa.chunked_array(parts).combine_chunks() == values


def test_what_decompresses_to_much_is_read_in_pieces(tmp_path: Path) -> None:
    hub = open_hub(tmp_path)
    hub.create_topic("t", config={"compression.type": "zstd"})
    for _ in range(8):
        hub.append(Records(topic="t", value=pa.array([b"0" * 900_000])), 0).result(30)
    fetched = hub.read("t", 0, 0, max_bytes=1 << 20)
    assert fetched.records is not None
    assert len(fetched.records) == 2
    assert fetched.end == 2
    assert len(read(hub)) == 8
    hub.close()


def test_a_record_that_is_too_large_is_refused_with_its_row(hub: EmbeddedHub) -> None:
    with pytest.raises(TooLarge) as caught:
        hub.append(Records(topic="t", value=pa.array([b"ok", b"x" * 2_000_000])), 0)
    assert caught.value.facts["row"] == 1
    assert hub.end_offset("t", 0) == 0


def test_missing_and_far_ahead_times_become_the_arrival(hub: EmbeddedHub) -> None:
    far = 4_000_000_000_000
    hub.append(Records(topic="t", value=pa.array([b"a", b"b", b"c"]), timestamp=pa.array([5, None, far], TIMESTAMP)), 0)
    assert hub.wait({PLACE: 0}, 10_000)
    found = hub.read("t", 0, 0, max_bytes=1000).records
    assert found is not None
    assert found.timestamp is not None
    times = found.timestamp.cast(pa.int64()).to_pylist()
    assert times[0] == 5
    assert 5 < times[1] == times[2] < far


def test_only_encoded_values_are_taken(hub: EmbeddedHub) -> None:
    with pytest.raises(FormatError, match="bytes or text"):
        hub.append(Records(topic="t", value=pa.array([1, 2])), 0)


def test_no_records_is_no_batch(hub: EmbeddedHub) -> None:
    assert hub.append(records(), 0).result(0).count == 0
    assert hub.end_offset("t", 0, committed=False) == 0


def test_sliced_and_chunked_columns_are_written_as_they_look(hub: EmbeddedHub) -> None:
    hub.append(records(*"abcdef").slice(2, 3), 0).result(10)
    hub.append(Records(topic="t", value=pa.chunked_array([["x"], ["y"]])), 0).result(10)
    assert read(hub) == ["c", "d", "e", "x", "y"]


def test_reading_out_of_range_is_an_error_and_at_the_end_is_empty(hub: EmbeddedHub) -> None:
    hub.append(records(*"abc"), 0).result(10)
    assert hub.read("t", 0, 3, max_bytes=10).records is None
    with pytest.raises(OffsetOutOfRange):
        hub.read("t", 0, 4, max_bytes=10)
    hub.delete_records("t", 0, 2)
    assert hub.start_offset("t", 0) == 2
    with pytest.raises(OffsetOutOfRange) as caught:
        hub.read("t", 0, 1, max_bytes=10)
    assert (caught.value.facts["start"], caught.value.facts["end"]) == (2, 3)
    with pytest.raises(TopicMissing):
        hub.read("nope", 0, 0, max_bytes=10)


def test_deleted_records_stay_deleted(tmp_path: Path) -> None:
    hub = open_hub(tmp_path)
    hub.create_topic("t")
    hub.append(records(*"abc"), 0).result(10)
    hub.delete_records("t", 0, 2)
    hub._store.abandon()
    hub = open_hub(tmp_path)
    assert (hub.start_offset("t", 0), read(hub)) == (2, ["c"])
    hub.close()


def test_an_offset_is_found_by_time(hub: EmbeddedHub) -> None:
    times = pa.array([10, 20, 30], TIMESTAMP)
    hub.append(Records(topic="t", value=pa.array([b"a", b"b", b"c"]), timestamp=times), 0).result(10)
    assert [hub.offset_for_time("t", 0, time) for time in (0, 10, 11, 30, 31)] == [0, 0, 1, 2, None]


# Groups and holds.


def test_groups_remember_what_was_reported(tmp_path: Path) -> None:
    hub = open_hub(tmp_path)
    hub.create_topic("t", 2)
    hub.commit_group("g", {PLACE: 5})
    hub.commit_group("g", {TopicPartition("t", 1): 7})
    hub.commit_group("other", {PLACE: 1})
    hub.delete_group("other")
    for _ in range(2):
        assert hub.groups() == ["g"]
        assert hub.group_offsets("g") == {PLACE: 5, TopicPartition("t", 1): 7}
        assert hub.group_offsets("other") == {}
        hub.close()
        hub = open_hub(tmp_path)
    with pytest.raises(TopicMissing):
        hub.commit_group("g", {TopicPartition("nope", 0): 1})
    hub.close()


def test_a_topic_made_again_has_no_group_offsets(tmp_path: Path) -> None:
    hub = open_hub(tmp_path)
    hub.create_topic("t")
    hub.commit_group("g", {PLACE: 5})
    hub.hold_retention("sink", {PLACE: 5})
    hub.delete_topic("t")
    hub.create_topic("t")
    for _ in range(2):
        assert (hub.groups(), hub.group_offsets("g")) == ([], {})
        assert hub._store.holds("t", 0) is None
        hub.close()
        hub = open_hub(tmp_path)
    hub.close()


def old_segments(hub: EmbeddedHub, count: int) -> None:
    log = hub._store.partition("t", 0)
    for n in range(count):
        hub.append(records(f"r{n}"), 0).result(10)
        log.roll()


def test_retention_stops_at_the_slowest_sink_and_goes_on_when_it_is_released(tmp_path: Path) -> None:
    hub = open_hub(tmp_path)
    hub.create_topic("t", config={"retention.bytes": "1"})
    old_segments(hub, 6)
    hub.hold_retention("slow", {PLACE: 2})
    hub.hold_retention("fast", {PLACE: 5})
    hub._store.abandon()
    hub = open_hub(tmp_path)
    assert hub.retention_holds() == {"slow": {PLACE: 2}, "fast": {PLACE: 5}}
    hub._store.clean()
    assert hub.start_offset("t", 0) == 2
    hub.hold_retention("slow", {})
    assert hub.retention_holds() == {"fast": {PLACE: 5}}
    hub._store.clean()
    assert hub.start_offset("t", 0) == 5
    hub.close()


def test_retention_ignores_sinks_where_the_topic_says_so(tmp_path: Path) -> None:
    hub = open_hub(tmp_path)
    hub.create_topic("t", config={"retention.bytes": "1", "ingest.retention.ignores.sinks": "true"})
    old_segments(hub, 6)
    hub.hold_retention("slow", {PLACE: 2})
    hub._store.clean()
    assert hub.start_offset("t", 0) >= 5
    hub.close()


class FullFor(SystemDisk):
    """A disk that has no room for new files of some partitions."""

    folders: tuple[str, ...] = ()

    def sync(self, fd: int, path: Path) -> None:
        if path.parent.name in self.folders and not path.name.endswith(".log"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        super().sync(fd, path)


def test_a_partition_that_cannot_be_compacted_keeps_no_other_from_its_retention(tmp_path: Path) -> None:
    hub = open_hub(tmp_path, disk := FullFor())
    hub.create_topic("a", config={"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0"})
    hub.create_topic("t", config={"retention.bytes": "1"})
    for value in (b"1", b"2", b"3"):
        hub.append(Records(topic="a", key=pa.array([b"k"]), value=pa.array([value])), 0).result(10)
        hub._store.partition("a", 0).roll()
    old_segments(hub, 3)
    disk.folders = ("a-0", "__transaction_state-0")
    with pytest.raises(StorageFull, match="a-0"):
        hub._store.clean()
    assert hub.start_offset("t", 0) > 0
    disk.folders = ()
    hub._store.clean()
    assert list(hub.compacted("a")) == [(b"k", b"3")]
    hub.close()


def test_compacted_gives_the_latest_of_each_key(hub: EmbeddedHub) -> None:
    for key, value in ((b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"b", None)):
        one = Records(topic="t", key=pa.array([key]), value=pa.array([value], pa.binary()))
        hub.append(one, 0).result(10)
    assert list(hub.compacted("t")) == [(b"a", b"2")]


# Reading beside the owner.


def test_a_reader_without_the_lock_follows_the_owner(tmp_path: Path) -> None:
    owner = open_hub(tmp_path)
    owner.create_topic("t")
    reader = EmbeddedHub.open(tmp_path, writable=False)
    assert reader.id == owner.id
    for n in range(3):
        owner.append(records(f"r{n}"), 0).result(10)
        assert reader.wait({PLACE: n}, 10_000)
        assert read(reader) == [f"r{m}" for m in range(n + 1)]
    transaction = owner.transaction(owner.register_writer("w"))
    transaction.append(records("tx"), 0)
    transaction.put_positions("owner", {"s": {"n": 1}})
    assert not reader.wait({PLACE: 3}, 100)
    transaction.commit().result(10)
    assert reader.wait({PLACE: 3}, 10_000)
    assert read(reader)[-1] == "tx"
    assert reader.positions("owner") == {"s": {"n": 1}}
    owner.create_topic("later")
    owner.append(records("x", topic="later"), 0).result(10)
    assert reader.wait({TopicPartition("later", 0): 0}, 10_000)
    assert read(reader, "later") == ["x"]
    owner.delete_topic("later")
    with pytest.raises(TopicMissing):
        read(reader, "later")
    owner.close()
    assert read(reader) == ["r0", "r1", "r2", "tx"]
    reader.close()


def test_a_reader_changes_nothing(tmp_path: Path) -> None:
    owner = open_hub(tmp_path)
    owner.create_topic("t")
    owner.append(records("a"), 0).result(10)
    owner.commit_group("g", {PLACE: 1})
    owner.close()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    reader = EmbeddedHub.open(tmp_path, writable=False)
    assert (read(reader), reader.groups(), reader.group_offsets("g")) == (["a"], ["g"], {PLACE: 1})
    for write in (
        lambda: reader.append(records("b"), 0),
        lambda: reader.create_topic("u"),
        lambda: reader.register_writer("w"),
        lambda: reader.commit_group("g", {}),
        lambda: reader.delete_records("t", 0, 1),
    ):
        with pytest.raises(TransactionInvalid, match="reading only"):
            write()
    reader.close()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_folder_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FolderInvalid, match="no data folder"):
        EmbeddedHub.open(tmp_path / "none", writable=False)
    assert not (tmp_path / "none").exists()


def test_large_and_small_binary_columns_are_joined(hub: EmbeddedHub) -> None:
    hub.append(Records(topic="t", value=pa.array([b"a"], pa.large_binary())), 0).result(10)
    hub.append(Records(topic="t", value=pa.array(["b"], pa.large_string())), 0).result(10)
    assert read(hub) == ["a", "b"]
    offsets = hub.read("t", 0, 0, max_bytes=1000).records
    assert offsets is not None
    assert offsets.offsets is not None
    assert np.array_equal(offsets.offsets.to_numpy(), [0, 1])
