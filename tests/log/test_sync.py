"""Group commit: who waits together is served by one sync; nobody sees what is not on disk."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hubs import CountingDisk, Crash, FailingDisk, abandon, crash, open_hub, read, records

from ingest.connectors import TopicPartition
from ingest.errors import Closed, StorageFailed
from ingest.failpoints import FailPoints
from ingest.hub.contract import Appended, Hub

PLACE = TopicPartition("t", 0)


def stored(hub: Hub, text: str, here: bool) -> Appended:
    """On disk by the syncer's thread, or by this one."""
    return hub.append_synced(records(text), 0) if here else hub.append(records(text), 0).result(30)


def test_appends_that_wait_together_share_one_sync(tmp_path: Path) -> None:
    disk = CountingDisk()
    hub = open_hub(tmp_path, disk)
    hub.create_topic("t")
    disk.gate.clear()
    disk.arrived.clear()
    first = hub.append(records("first"), 0)
    assert disk.arrived.wait(30)
    disk.syncs.clear()
    waiting = [hub.append(records(f"r{n}"), 0) for n in range(100)]
    disk.gate.set()
    assert first.result(30).base_offset == 0
    assert [future.result(30).base_offset for future in waiting] == list(range(1, 101))
    assert disk.syncs.count("t-0") == 2
    hub.close()


def test_who_waits_anyway_syncs_in_its_own_thread(tmp_path: Path) -> None:
    threads: list[threading.Thread] = []

    class Noting(CountingDisk):
        def sync(self, fd: int, path: Path) -> None:
            if path.parent.name == "t-0":
                threads.append(threading.current_thread())
            super().sync(fd, path)

    hub = open_hub(tmp_path, Noting())
    hub.create_topic("t")
    threads.clear()
    assert hub.append_synced(records("a"), 0).base_offset == 0
    assert set(threads) == {threading.current_thread()}
    assert read(hub) == ["a"]
    hub.close()


def test_who_waits_while_a_sync_is_under_way_is_served_by_the_next(tmp_path: Path) -> None:
    disk = CountingDisk()
    hub = open_hub(tmp_path, disk)
    hub.create_topic("t")
    disk.gate.clear()
    disk.arrived.clear()
    first = hub.append(records("first"), 0)
    assert disk.arrived.wait(30)
    with ThreadPoolExecutor(10) as callers:
        later = [callers.submit(hub.append_synced, records(f"r{n}"), 0) for n in range(10)]
        while hub.end_offset("t", 0, committed=False) != 0 or len(hub._store._syncer._waiters) < 10:
            assert not any(future.done() for future in later)
        disk.gate.set()
        assert first.result(30).base_offset == 0
        assert sorted(future.result(30).base_offset for future in later) == list(range(1, 11))
    assert disk.syncs.count("t-0") <= 3
    hub.close()


def test_closing_waits_for_a_sync_in_a_callers_thread(tmp_path: Path) -> None:
    disk = CountingDisk()
    hub = open_hub(tmp_path, disk)
    hub.create_topic("t")
    disk.gate.clear()
    disk.arrived.clear()
    found: list[int] = []
    caller = threading.Thread(target=lambda: found.append(hub.append_synced(records("a"), 0).base_offset))
    caller.start()
    assert disk.arrived.wait(30)
    closer = threading.Thread(target=hub.close)
    closer.start()
    while not hub._store._syncer._stopping:
        closer.join(0.005)
    disk.gate.set()
    caller.join(30)
    closer.join(30)
    assert found == [0]
    hub = open_hub(tmp_path)
    assert read(hub) == ["a"]
    hub.close()


def test_nothing_is_seen_before_it_is_on_disk(tmp_path: Path) -> None:
    disk = CountingDisk()
    hub = open_hub(tmp_path, disk)
    hub.create_topic("t")
    disk.gate.clear()
    pending = hub.append(records("a"), 0)
    assert read(hub, committed=False) == []
    assert not hub.wait({PLACE: 0}, 20)
    assert not pending.done()
    disk.gate.set()
    assert hub.wait({PLACE: 0}, 30_000)
    assert read(hub) == ["a"]
    hub.close()


def test_what_nobody_waits_for_is_synced_soon(tmp_path: Path) -> None:
    disk = CountingDisk()
    hub = open_hub(tmp_path, disk)
    hub.create_topic("t")
    hub.commit_group("g", {PLACE: 5})
    synced = threading.Event()
    while "_ingest_groups-0" not in disk.syncs:
        synced.wait(0.01)
    abandon(hub)
    hub = open_hub(tmp_path)
    assert hub.group_offsets("g") == {PLACE: 5}
    hub.close()


def test_a_waiting_reader_is_woken_by_an_append(tmp_path: Path) -> None:
    hub = open_hub(tmp_path)
    hub.create_topic("t")
    found: list[bool] = []
    reader = threading.Thread(target=lambda: found.append(hub.wait({PLACE: 0}, 60_000)))
    reader.start()
    store = hub._store
    while not store._watchers.is_watched(store.partition("t", 0)):
        reader.join(0.005)
    hub.append(records("a"), 0)
    reader.join(30)
    assert found == [True]
    hub.close()


def test_waiting_readers_do_not_make_an_open_transaction_sync(tmp_path: Path) -> None:
    disk = CountingDisk()
    hub = open_hub(tmp_path, disk)
    hub.create_topic("t")
    transaction = hub.transaction(hub.register_writer("w"))
    disk.syncs.clear()
    with hub._store._watchers.watching([hub._store.partition("t", 0)]):
        transaction.append(records("a"), 0)
        assert hub._store._syncer._hurried == set()
    transaction.abort()
    hub.close()


@pytest.mark.parametrize("here", [False, True])
def test_a_failing_disk_is_told_to_all_who_wait_and_writing_resumes(tmp_path: Path, here: bool) -> None:
    disk = FailingDisk()
    hub = open_hub(tmp_path, disk)
    hub.create_topic("t")
    hub.append(records("before"), 0).result(30)
    disk.failing = True
    for text in ("lost", "again"):
        with pytest.raises(StorageFailed, match="t-0"):
            stored(hub, text, here)
        assert read(hub) == ["before"]
    disk.failing = False
    assert hub.append(records("after"), 0).result(30).base_offset == 1
    assert read(hub) == ["before", "after"]
    hub.close()
    hub = open_hub(tmp_path)
    assert read(hub) == ["before", "after"]
    hub.close()


@pytest.mark.parametrize("here", [False, True])
@pytest.mark.parametrize("step", ["log.sync.before", "log.sync.data", "log.sync.done"])
def test_nobody_waits_for_a_thread_that_has_ended(tmp_path: Path, step: str, here: bool) -> None:
    fail = FailPoints()
    hub = open_hub(tmp_path, fail=fail)
    hub.create_topic("t")
    fail.arm(step, crash)
    with pytest.raises(Crash):
        stored(hub, "a", here)
    for call in (lambda: hub.append(records("b"), 0).result(30), lambda: hub.register_writer("w")):
        with pytest.raises((Crash, Closed)):
            call()
    abandon(hub)


def test_closing_finishes_what_was_asked_and_refuses_what_comes_later(tmp_path: Path) -> None:
    hub = open_hub(tmp_path)
    hub.create_topic("t")
    pending = hub.append(records("a"), 0)
    hub.close()
    hub.close()
    assert pending.result(0).base_offset == 0
    with pytest.raises(Closed):
        hub.append(records("b"), 0)
    with pytest.raises(Closed):
        hub.wait({PLACE: 1}, 10)
    with pytest.raises(Closed):
        hub.register_writer("w")


def test_a_waiting_reader_is_told_that_the_hub_closed(tmp_path: Path) -> None:
    hub = open_hub(tmp_path)
    hub.create_topic("t")
    told: list[BaseException] = []

    def wait() -> None:
        try:
            hub.wait({PLACE: 0}, 60_000)
        except Closed as error:
            told.append(error)

    reader = threading.Thread(target=wait)
    reader.start()
    while not hub._store._watchers.is_watched(hub._store.partition("t", 0)):
        reader.join(0.005)
    hub.close()
    reader.join(30)
    assert len(told) == 1


def test_who_waits_for_a_deleted_topic_is_told(tmp_path: Path) -> None:
    disk = CountingDisk()
    hub = open_hub(tmp_path, disk)
    hub.create_topic("t")
    hub.create_topic("other")
    disk.gate.clear()
    disk.arrived.clear()
    hub.append(records("x", topic="other"), 0)
    assert disk.arrived.wait(30)
    doomed = hub.append(records("a"), 0)
    hub.delete_topic("t")
    with pytest.raises(Closed, match="was deleted"):
        doomed.result(30)
    disk.gate.set()
    hub.close()
