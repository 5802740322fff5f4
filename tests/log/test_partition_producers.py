"""Idempotent and transactional producers of one partition."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partitions import START_MS, Site, batch_of, read_all, values_of

from ingest.errors import CorruptBatch, Fenced, RecordInvalid, SequenceOutOfOrder
from ingest.log.leader_epochs import LeaderEpochs
from ingest.log.partition import AppendInfo, PartitionLog
from ingest.log.producer_entry import AppendedBatch, ProducerEntry
from ingest.log.producer_snapshot import decode_snapshot, encode_snapshot
from ingest.log.producer_state import EXPIRATION_MS
from ingest.log.transaction_index import AbortedTransaction, TransactionIndex
from ingest.wire.control import Marker


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "t-0", {"index.interval.bytes": "100"})


def send(site: Site, log: PartitionLog, sequence: int, count: int = 1, epoch: int = 0, **options: object) -> AppendInfo:
    values = [f"s{sequence + row}" for row in range(count)]
    return site.append(log, *values, producer_id=9, producer_epoch=epoch, base_sequence=sequence, **options)


def test_each_of_the_last_five_batches_may_be_sent_again(site: Site) -> None:
    log = site.open()
    sent = [send(site, log, 2 * number, 2) for number in range(7)]
    for number in (2, 3, 4, 5, 6):
        again = send(site, log, 2 * number, 2)
        assert again.duplicate
        assert (again.base_offset, again.last_offset) == (sent[number].base_offset, sent[number].last_offset)
    with pytest.raises(SequenceOutOfOrder):
        send(site, log, 2, 2)
    assert log.log_end_offset == 14


def test_all_five_are_known_after_a_clean_restart_too(site: Site) -> None:
    site.settings = {"segment.bytes": "250"}
    log = site.open()
    for number in range(7):
        send(site, log, number)
        site.append(log, "someone else's")
    log.close()
    again = site.open(clean=True)
    for number in (2, 3, 4, 5, 6):
        retried = send(site, again, number)
        assert (retried.duplicate, retried.base_offset) == (True, 2 * number)
    assert send(site, again, 7).base_offset == 14


@pytest.mark.parametrize("sequence", [0, 2, 9])
def test_a_gap_in_the_sequence_is_refused(site: Site, sequence: int) -> None:
    log = site.open()
    send(site, log, 0, 3)
    with pytest.raises(SequenceOutOfOrder, match="expected 3"):
        send(site, log, sequence)
    assert send(site, log, 3).base_offset == 3


def test_the_sequence_wraps_after_two_to_the_31(site: Site) -> None:
    log = site.open()
    send(site, log, 2**31 - 2, 2)
    assert not send(site, log, 0, 2).duplicate
    assert send(site, log, 0, 2).duplicate
    log.roll()
    straddling = Site(site.folder.parent / "u-0")
    other = straddling.open()
    send(straddling, other, 2**31 - 1, 3)
    assert send(straddling, other, 2**31 - 1, 3).base_offset == 0
    assert send(straddling, other, 2).base_offset == 3
    other.close()
    assert send(straddling, straddling.open(clean=True), 2**31 - 1, 3).duplicate


def test_an_unknown_producer_may_begin_anywhere(site: Site) -> None:
    assert send(site, site.open(), 41).base_offset == 0


def test_a_new_epoch_begins_at_zero_and_fences_the_old_one(site: Site) -> None:
    log = site.open()
    send(site, log, 0)
    with pytest.raises(SequenceOutOfOrder):
        send(site, log, 1, epoch=1)
    send(site, log, 0, epoch=1)
    with pytest.raises(Fenced):
        send(site, log, 1, epoch=0)
    with pytest.raises(Fenced):
        site.mark(log, Marker.COMMIT, 9, 0)


def test_a_batch_refused_in_a_row_of_batches_takes_back_the_ones_before(site: Site) -> None:
    log = site.open()
    good = batch_of("a", producer_id=9, producer_epoch=0, base_sequence=0)
    bad = batch_of("b", producer_id=9, producer_epoch=0, base_sequence=5)
    with pytest.raises(SequenceOutOfOrder):
        log.append(good + bad, now_ms=START_MS)
    assert send(site, log, 0).base_offset == 0


def test_a_row_of_batches_sent_again_is_a_duplicate_as_a_whole(site: Site) -> None:
    log = site.open()
    row = [batch_of(f"{n}", producer_id=9, producer_epoch=0, base_sequence=n) for n in range(3)]
    log.append(row[0] + row[1], now_ms=START_MS)
    again = log.append(row[0] + row[1], now_ms=START_MS)
    assert (again.duplicate, again.base_offset, again.last_offset) == (True, 0, 1)
    with pytest.raises(SequenceOutOfOrder):
        log.append(row[1] + row[2], now_ms=START_MS)


def test_a_client_with_an_id_must_send_sequences(site: Site) -> None:
    log = site.open()
    with pytest.raises(RecordInvalid):
        send(site, log, -1)
    send(site, log, -1, kind="raw")


def test_a_batch_outside_of_the_producers_transaction_is_refused(site: Site) -> None:
    log = site.open()
    send(site, log, 0, transactional=True)
    with pytest.raises(RecordInvalid, match="transaction"):
        send(site, log, 1)


def test_committed_readers_stop_at_the_first_open_transaction(site: Site) -> None:
    log = site.open()
    site.append(log, "before")
    send(site, log, 0, transactional=True)
    site.append(log, "behind")
    log.sync()
    assert log.last_stable_offset == 1
    assert values_of(log, committed=True) == ["before"]
    assert values_of(log) == ["before", "s0", "behind"]
    site.mark(log, Marker.COMMIT, 9)
    log.sync()
    assert log.last_stable_offset == 4
    assert values_of(log, committed=True) == ["before", "s0", "behind"]


def test_aborted_transactions_are_listed_over_segments(site: Site) -> None:
    site.settings = {"segment.bytes": "200"}
    log = site.open()
    for number in range(6):
        send(site, log, 2 * number, transactional=True)
        site.append(log, f"plain {number}")
        send(site, log, 2 * number + 1, transactional=True)
        site.mark(log, Marker.ABORT if number % 2 else Marker.COMMIT, 9)
    log.sync()
    kept = [value for n in range(6) for value in ([f"s{2 * n}"] if n % 2 == 0 else []) + [f"plain {n}"]
            + ([f"s{2 * n + 1}"] if n % 2 == 0 else [])]  # fmt: skip
    for max_bytes in (1, 300, 10_000):
        assert values_of(log, committed=True, max_bytes=max_bytes) == kept
    log.close()
    assert values_of(site.open(clean=True), committed=True) == kept
    assert len(values_of(site.view(), committed=True)) == len(kept)


def test_interleaved_transactions_hold_the_stable_offset_one_after_the_other(site: Site) -> None:
    log = site.open()
    for producer in (1, 2, 3):
        site.append(log, f"of {producer}", producer_id=producer, producer_epoch=0, base_sequence=0, transactional=True)
    log.sync()
    seen = []
    for producer in (2, 1, 3):
        site.mark(log, Marker.COMMIT, producer)
        log.sync()
        seen.append(log.last_stable_offset)
    assert seen == [0, 2, 6]


def test_a_marker_of_a_producer_without_a_transaction_is_harmless(site: Site) -> None:
    log = site.open()
    site.mark(log, Marker.ABORT, 77)
    log.sync()
    assert log.last_stable_offset == 1
    assert read_all(log, committed=True) == []


def test_a_marker_that_is_none_is_refused(site: Site) -> None:
    log = site.open()
    with pytest.raises(CorruptBatch):
        log.append(batch_of("a"), now_ms=START_MS, kind="marker")


def test_silent_producers_are_forgotten_but_not_in_a_transaction(site: Site) -> None:
    log = site.open()
    send(site, log, 5)
    site.append(log, "x", producer_id=10, producer_epoch=0, base_sequence=3, transactional=True)
    log.sync()
    log.retain(START_MS + EXPIRATION_MS)
    with pytest.raises(SequenceOutOfOrder):
        site.append(log, "x", producer_id=10, producer_epoch=0, base_sequence=0, transactional=True)
    assert not send(site, log, 0).duplicate


entries = st.builds(
    ProducerEntry,
    producer_id=st.integers(0, 2**63 - 1),
    epoch=st.integers(0, 2**15 - 1),
    batches=st.builds(
        lambda last, delta, offset: (
            AppendedBatch((last - delta) % 2**31, last, offset + delta, 5),
        ),
        st.integers(0, 2**31 - 1), st.integers(0, 1000), st.integers(0, 2**40),
    ) | st.just(()),
    last_ms=st.just(5),
    coordinator_epoch=st.integers(-1, 2**31 - 1),
    transaction_start=st.integers(-1, 2**40),
)  # fmt: skip


@given(st.lists(entries, max_size=5))
@settings(max_examples=100, deadline=None)
def test_snapshots_hold_what_was_put_in(state: list[ProducerEntry]) -> None:
    data = encode_snapshot(state)
    assert decode_snapshot(data) == state
    for position in range(0, len(data), 7):
        assert decode_snapshot(data[:position]) is None
        damaged = bytearray(data)
        damaged[position] ^= 0x10
        assert decode_snapshot(bytes(damaged)) is None


def test_leader_epochs_name_the_end_of_each(tmp_path: Path) -> None:
    epochs = LeaderEpochs(tmp_path / "leader-epoch-checkpoint", [(0, 0), (2, 10), (5, 20)])
    assert epochs.end_offset(0, 30) == (0, 10)
    assert epochs.end_offset(1, 30) == (0, 10)
    assert epochs.end_offset(2, 30) == (2, 20)
    assert epochs.end_offset(9, 30) == (5, 30)
    assert epochs.end_offset(-1, 30) == (-1, -1)
    epochs.begin(6, 15)
    assert epochs.entries == [(0, 0), (2, 10), (6, 15)]
    epochs.cut_head(12)
    assert epochs.entries == [(2, 12), (6, 15)]


def test_the_transaction_index_says_from_where_on_nothing_can_be_aborted(site: Site) -> None:
    log = site.open()
    for producer in (1, 2, 3):
        site.append(log, "x", producer_id=producer, producer_epoch=0, base_sequence=0, transactional=True)
    for producer in (2, 1, 3):
        site.mark(log, Marker.ABORT, producer)
    log.close()
    found = TransactionIndex.load(site.folder / "00000000000000000000.txnindex")
    assert found is not None
    assert found.entries == [
        AbortedTransaction(2, 1, 3, 0),
        AbortedTransaction(1, 0, 4, 2),
        AbortedTransaction(3, 2, 5, 6),
    ]
