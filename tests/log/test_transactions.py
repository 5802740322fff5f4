"""Transactions over several partitions, and positions: all of it or nothing, whatever breaks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest
from hubs import CountingDisk, Crash, FailingDisk, abandon, crash, open_hub, read, records
from powercut import PowerCutDisk

from ingest.errors import Closed, Fenced, StorageFailed, TopicMissing, TransactionInvalid
from ingest.failpoints import FailPoints
from ingest.hub.contract import HubTransaction, Writer
from ingest.hub.embedded import EmbeddedHub

STEPS_BEFORE = ["txn.begin", "txn.data-synced"]
STEPS_AFTER = ["txn.decided", "txn.markers", "txn.positions"]


def begin(hub: EmbeddedHub, writer: Writer, text: str) -> HubTransaction:
    """One record in each of two partitions, and a position."""
    transaction = hub.transaction(writer)
    for partition in (0, 1):
        transaction.append(records(text), partition)
    transaction.put_positions("owner", {"stream": {"text": text}})
    return transaction


def everything(hub: EmbeddedHub) -> tuple[list[str], list[str], object]:
    """Both partitions and the position."""
    return read(hub), read(hub, partition=1), hub.positions("owner").get("stream", {}).get("text")


def hub_of(folder: Path, disk: CountingDisk | FailingDisk | PowerCutDisk | None = None) -> EmbeddedHub:
    hub = open_hub(folder, disk)
    hub.create_topic("t", 2)
    return hub


def test_a_commit_shows_all_of_it(tmp_path: Path) -> None:
    hub = hub_of(tmp_path)
    transaction = begin(hub, hub.register_writer("w"), "a")
    assert everything(hub) == ([], [], None)
    transaction.commit().result(30)
    assert everything(hub) == (["a"], ["a"], "a")
    hub.close()
    hub = open_hub(tmp_path)
    assert everything(hub) == (["a"], ["a"], "a")
    hub.close()


def test_an_abort_shows_nothing_of_it_and_readers_go_on_behind(tmp_path: Path) -> None:
    hub = hub_of(tmp_path)
    writer = hub.register_writer("w")
    begin(hub, writer, "no").abort()
    begin(hub, writer, "yes").commit().result(30)
    assert everything(hub) == (["yes"], ["yes"], "yes")
    hub.append(records("plain"), 0).result(30)
    assert read(hub) == ["yes", "plain"]
    assert read(hub, committed=False) == ["no", "yes", "plain"]
    hub.close()


def test_an_open_transaction_holds_back_what_others_append_behind_it(tmp_path: Path) -> None:
    hub = hub_of(tmp_path)
    transaction = begin(hub, hub.register_writer("w"), "a")
    hub.append(records("later"), 0).result(30)
    assert (hub.end_offset("t", 0), hub.end_offset("t", 0, committed=False)) == (0, 2)
    transaction.commit().result(30)
    assert read(hub) == ["a", "later"]
    hub.close()


def test_interleaved_writers_are_told_apart(tmp_path: Path) -> None:
    hub = hub_of(tmp_path)
    first, second = hub.register_writer("first"), hub.register_writer("second")
    one, two = hub.transaction(first), hub.transaction(second)
    for n in range(3):
        one.append(records(f"one{n}"), 0)
        two.append(records(f"two{n}"), 0)
    two.commit().result(30)
    assert read(hub) == []
    one.abort()
    assert read(hub) == ["two0", "two1", "two2"]
    hub.close()


def test_positions_without_records_and_records_without_positions_commit(tmp_path: Path) -> None:
    hub = hub_of(tmp_path)
    writer = hub.register_writer("w")
    transaction = hub.transaction(writer)
    transaction.put_positions("owner", {"a": {"n": 1}, "b": {"n": 2}})
    transaction.put_positions("other", {"c": {"n": 3}})
    transaction.commit().result(30)
    transaction = hub.transaction(writer)
    transaction.append(records(), 0)
    transaction.put_positions("owner", {"a": None})
    transaction.commit().result(30)
    hub.transaction(writer).commit().result(30)
    for _ in range(2):
        assert hub.positions("owner") == {"b": {"n": 2}}
        assert hub.position_owners() == ["other", "owner"]
        hub.close()
        hub = open_hub(tmp_path)
    hub.close()


def test_stream_names_that_are_no_unicode_come_back(tmp_path: Path) -> None:
    hub = hub_of(tmp_path)
    transaction = hub.transaction(hub.register_writer("w\udcff"))
    transaction.put_positions("owner", {"file-\udcff": {"at": 2**64}})
    transaction.commit().result(30)
    hub.close()
    hub = open_hub(tmp_path)
    assert hub.positions("owner") == {"file-\udcff": {"at": 2**64}}
    hub.close()


def test_positions_are_copied_and_must_be_json(tmp_path: Path) -> None:
    hub = hub_of(tmp_path)
    transaction = hub.transaction(hub.register_writer("w"))
    position = {"at": [1]}
    transaction.put_positions("owner", {"s": position})
    position["at"].append(2)
    with pytest.raises(TransactionInvalid, match="not JSON"):
        transaction.put_positions("owner", {"s": {"at": object()}})
    transaction.commit().result(30)
    assert hub.positions("owner") == {"s": {"at": [1]}}
    hub.close()


def test_calls_that_the_state_forbids_are_errors(tmp_path: Path) -> None:
    hub = hub_of(tmp_path)
    writer = hub.register_writer("w")
    transaction = begin(hub, writer, "a")
    with pytest.raises(TransactionInvalid, match="has not ended"):
        hub.transaction(writer)
    transaction.commit().result(30)
    for call in (transaction.commit, lambda: transaction.append(records("x"), 0)):
        with pytest.raises(TransactionInvalid, match="ended"):
            call()
    transaction.abort()
    assert read(hub) == ["a"]
    with pytest.raises(Fenced):
        hub.transaction(Writer("never registered", 1))
    hub.close()


def test_a_newer_epoch_fences_the_older_and_aborts_what_it_left_open(tmp_path: Path) -> None:
    hub = hub_of(tmp_path)
    old = hub.register_writer("w")
    transaction = begin(hub, old, "zombie")
    new = hub.register_writer("w")
    assert new.epoch == old.epoch + 1
    with pytest.raises(Fenced, match="replaced by one of epoch 2"):
        transaction.append(records("zombie"), 0)
    with pytest.raises(Fenced):
        transaction.commit()
    with pytest.raises(Fenced):
        hub.transaction(old)
    transaction.abort()
    begin(hub, new, "alive").commit().result(30)
    assert everything(hub) == (["alive"], ["alive"], "alive")
    hub.close()


def test_a_commit_that_waits_while_its_writer_is_replaced_fails_and_only_once(tmp_path: Path) -> None:
    disk = CountingDisk()
    hub = hub_of(tmp_path, disk)
    old = hub.register_writer("w")
    transaction = begin(hub, old, "zombie")
    disk.gate.clear()
    disk.arrived.clear()
    hub.append(records("plain"), 0)
    assert disk.arrived.wait(30)
    registered: list[Writer] = []
    register = threading.Thread(target=lambda: registered.append(hub.register_writer("w")))
    register.start()
    while not hub._store.transactions.waiting():
        register.join(0.005)
    pending = transaction.commit()
    disk.gate.set()
    with pytest.raises(Fenced):
        pending.result(30)
    register.join(30)
    begin(hub, registered[0], "alive").commit().result(30)
    assert read(hub) == ["plain", "alive"]
    assert read(hub, partition=1) == ["alive"]
    hub.close()


def test_a_commit_and_a_registration_in_one_group_keep_their_order(tmp_path: Path) -> None:
    disk = CountingDisk()
    hub = hub_of(tmp_path, disk)
    old = hub.register_writer("w")
    transaction = begin(hub, old, "in time")
    disk.gate.clear()
    disk.arrived.clear()
    hub.append(records("plain"), 0)
    assert disk.arrived.wait(30)
    pending = transaction.commit()
    registered: list[Writer] = []
    register = threading.Thread(target=lambda: registered.append(hub.register_writer("w")))
    register.start()
    while len(hub._store.transactions._jobs) < 2:
        register.join(0.005)
    disk.gate.set()
    pending.result(30)
    register.join(30)
    begin(hub, registered[0], "next").commit().result(30)
    assert everything(hub) == (["in time", "plain", "next"], ["in time", "next"], "next")
    hub.close()


def test_epochs_go_on_after_a_restart_and_beyond_what_a_batch_can_hold(tmp_path: Path) -> None:
    hub = hub_of(tmp_path)
    writer = hub.register_writer("w")
    state = hub._store.transactions.writers.named("w")
    state.producer_epoch = 32_766
    begin(hub, writer, "a").commit().result(30)
    second = hub.register_writer("w")
    assert (second.epoch, state.producer_epoch) == (writer.epoch + 1, 0)
    begin(hub, second, "b").commit().result(30)
    hub.close()
    hub = open_hub(tmp_path)
    third = hub.register_writer("w")
    assert third.epoch == second.epoch + 1
    begin(hub, third, "c").commit().result(30)
    assert read(hub) == ["a", "b", "c"]
    hub.close()


def test_commits_that_wait_together_share_their_syncs(tmp_path: Path) -> None:
    disk = CountingDisk()
    hub = hub_of(tmp_path, disk)
    begun = [begin(hub, hub.register_writer(f"w{n}"), f"r{n}") for n in range(20)]
    disk.gate.clear()
    disk.arrived.clear()
    hub.append(records("plain"), 0)
    assert disk.arrived.wait(30)
    pending = [transaction.commit() for transaction in begun]
    disk.syncs.clear()
    disk.gate.set()
    for future in pending:
        future.result(30)
    # The one that was held up, then one for all data in each partition, and one for all decisions.
    assert disk.syncs.count("t-1") <= 2
    assert disk.syncs.count("__transaction_state-0") == 1
    assert sorted(read(hub, partition=1)) == sorted(f"r{n}" for n in range(20))
    hub.close()


def test_a_topic_that_is_deleted_meanwhile_makes_the_commit_fail(tmp_path: Path) -> None:
    hub = hub_of(tmp_path)
    hub.create_topic("u")
    writer = hub.register_writer("w")
    transaction = begin(hub, writer, "a")
    transaction.append(records("x", topic="u"), 0)
    hub.delete_topic("u")
    with pytest.raises((Closed, StorageFailed)):
        transaction.commit().result(30)
    transaction.abort()
    transaction = begin(hub, writer, "b")
    with pytest.raises(TopicMissing):
        transaction.append(records("x", topic="u"), 0)
    transaction.commit().result(30)
    assert everything(hub) == (["b"], ["b"], "b")
    hub.close()


def test_positions_that_are_too_large_fail_alone(tmp_path: Path) -> None:
    hub = hub_of(tmp_path)
    writer = hub.register_writer("w")
    transaction = hub.transaction(writer)
    transaction.put_positions("owner", {"s": {"at": "x" * 9_000_000}})
    with pytest.raises(Exception, match="at most"):
        transaction.commit().result(30)
    begin(hub, writer, "a").commit().result(30)
    assert everything(hub) == (["a"], ["a"], "a")
    hub.close()


# What breaks.


def crash_at(step: str, hub: EmbeddedHub, act: Callable[[], Future[None]], fail: FailPoints) -> None:
    fail.arm(step, crash)
    with pytest.raises(Crash):
        act().result(30)
    abandon(hub)


@pytest.mark.parametrize("spare", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("step", [*STEPS_BEFORE, *STEPS_AFTER])
def test_a_power_cut_at_each_step_leaves_all_or_nothing(tmp_path: Path, step: str, spare: float) -> None:
    disk, fail = PowerCutDisk(tmp_path, spare=spare), FailPoints()
    hub = open_hub(tmp_path, disk, fail)
    hub.create_topic("t", 2)
    writer = hub.register_writer("w")
    begin(hub, writer, "a").commit().result(30)
    transaction = begin(hub, writer, "b")
    crash_at(step, hub, transaction.commit, fail)
    disk.cut()
    hub = open_hub(tmp_path, disk)
    whole = ["a", "b"] if step in STEPS_AFTER else ["a"]
    assert everything(hub) == (whole, whole, whole[-1])
    begin(hub, hub.register_writer("w"), "c").commit().result(30)
    assert everything(hub) == ([*whole, "c"], [*whole, "c"], "c")
    abandon(hub)
    disk.cut()
    hub = open_hub(tmp_path, disk)
    assert everything(hub) == ([*whole, "c"], [*whole, "c"], "c")
    hub.close()


def test_a_crash_during_recovery_is_recovered_from(tmp_path: Path) -> None:
    disk, fail = PowerCutDisk(tmp_path, spare=0.0), FailPoints()
    hub = open_hub(tmp_path, disk, fail)
    hub.create_topic("t", 2)
    crash_at("txn.decided", hub, begin(hub, hub.register_writer("w"), "a").commit, fail)
    disk.cut()
    for _ in range(3):
        abandon(open_hub(tmp_path, disk))
        disk.cut()
    hub = open_hub(tmp_path, disk)
    assert everything(hub) == (["a"], ["a"], "a")
    hub.close()


def test_a_decision_stands_when_a_later_transaction_of_another_topic_follows(tmp_path: Path) -> None:
    """The marker of the first is lost with the power; the decision of the second must not hide its own."""
    disk = PowerCutDisk(tmp_path, spare=0.0)
    hub = open_hub(tmp_path, disk)
    hub.create_topic("t", 2)
    hub.create_topic("u")
    writer = hub.register_writer("w")
    begin(hub, writer, "a").commit().result(30)
    transaction = hub.transaction(writer)
    transaction.append(records("x", topic="u"), 0)
    transaction.commit().result(30)
    abandon(hub)
    disk.cut()
    hub = open_hub(tmp_path, disk)
    assert everything(hub) == (["a"], ["a"], "a")
    assert read(hub, "u") == ["x"]
    hub.close()


def test_a_commit_whose_data_cannot_be_synced_is_aborted(tmp_path: Path) -> None:
    disk = FailingDisk()
    hub = hub_of(tmp_path, disk)
    writer = hub.register_writer("w")
    transaction = begin(hub, writer, "lost")
    disk.failing, disk.only = True, "t-1"
    with pytest.raises(StorageFailed):
        transaction.commit().result(30)
    transaction.abort()
    disk.failing = False
    begin(hub, writer, "next").commit().result(30)
    assert everything(hub) == (["next"], ["next"], "next")
    hub.close()
    hub = open_hub(tmp_path)
    assert everything(hub) == (["next"], ["next"], "next")
    hub.close()


def test_a_commit_whose_decision_cannot_be_synced_is_undone_before_the_writer_goes_on(tmp_path: Path) -> None:
    disk = FailingDisk()
    hub = hub_of(tmp_path, disk)
    writer = hub.register_writer("w")
    transaction = begin(hub, writer, "doubt")
    disk.failing, disk.only = True, "__transaction_state-0"
    with pytest.raises(StorageFailed):
        transaction.commit().result(30)
    transaction.abort()
    assert everything(hub) == ([], [], None)
    with pytest.raises(StorageFailed):
        hub.transaction(writer)
    disk.failing = False
    begin(hub, writer, "next").commit().result(30)
    assert everything(hub) == (["next"], ["next"], "next")
    abandon(hub)
    hub = open_hub(tmp_path)
    assert everything(hub) == (["next"], ["next"], "next")
    hub.close()


def test_a_doubtful_transaction_is_undone_by_the_housekeeping_if_its_writer_is_gone(tmp_path: Path) -> None:
    disk = FailingDisk()
    hub = hub_of(tmp_path, disk)
    transaction = begin(hub, hub.register_writer("w"), "doubt")
    disk.failing, disk.only = True, "__transaction_state-0"
    with pytest.raises(StorageFailed):
        transaction.commit().result(30)
    disk.failing = False
    hub.append(records("behind"), 0).result(30)
    from ingest.connectors import TopicPartition

    assert hub.wait({TopicPartition("t", 0): 0}, 30_000)
    assert read(hub) == ["behind"]
    hub.close()


def test_a_marker_that_the_disk_lost_is_written_again(tmp_path: Path) -> None:
    disk = FailingDisk()
    hub = hub_of(tmp_path, disk)
    writer = hub.register_writer("w")
    begin(hub, writer, "a").commit().result(30)
    disk.failing, disk.only = True, "t-0"
    assert disk.refused.wait(30)  # the marker, synced in the background, is cut off
    log = hub._store.partition("t", 0)
    disk.failing = False
    begin(hub, writer, "void").abort()  # would take "a" with it if its marker were not written first
    begin(hub, writer, "b").commit().result(30)
    assert everything(hub) == (["a", "b"], ["a", "b"], "b")
    assert log.cuts >= 1
    abandon(hub)
    hub = open_hub(tmp_path)
    assert everything(hub) == (["a", "b"], ["a", "b"], "b")
    hub.close()


def test_an_append_after_the_disk_lost_earlier_records_of_the_transaction_is_refused(tmp_path: Path) -> None:
    disk = FailingDisk()
    hub = hub_of(tmp_path, disk)
    writer = hub.register_writer("w")
    transaction = begin(hub, writer, "half")
    disk.failing, disk.only = True, "t-0"
    with pytest.raises(StorageFailed):
        hub.append(records("plain"), 0).result(30)
    disk.failing = False
    with pytest.raises(StorageFailed):
        transaction.append(records("rest"), 0)
    with pytest.raises(TransactionInvalid, match="abort it"):
        transaction.commit()
    transaction.abort()
    begin(hub, writer, "next").commit().result(30)
    assert everything(hub) == (["next"], ["next"], "next")
    hub.close()


def test_compaction_of_the_books_keeps_what_counts(tmp_path: Path) -> None:
    hub = hub_of(tmp_path)
    writer = hub.register_writer("w")
    for n in range(30):
        begin(hub, writer, f"r{n}").commit().result(30)
        if n % 10 == 9:
            for topic in ("__transaction_state", "_ingest_positions"):
                hub._store.partition(topic, 0).roll()
    before = hub._store.partition("__transaction_state", 0).size_bytes
    hub._store._syncer.hurry(hub._store.partition("t", 0))
    hub._store.clean()
    assert hub._store.partition("__transaction_state", 0).size_bytes < before
    abandon(hub)
    hub = open_hub(tmp_path)
    assert everything(hub) == ([f"r{n}" for n in range(30)], [f"r{n}" for n in range(30)], "r29")
    assert hub.register_writer("w").epoch == writer.epoch + 1
    hub.close()
