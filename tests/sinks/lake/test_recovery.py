"""What a killed writer leaves behind, and what the next one makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest
from lake import FAIL_POINTS, Lake, delivery, numbers
from powercut import PowerCutDisk

from ingest.connectors import TopicPartition
from ingest.connectors.testing import Crash
from ingest.errors import ConnectorError, IdentityMismatch, OutputDamaged, SinkFenced, StorageFailed
from ingest.sinks.lake.task import LakeTask

EVENTS = TopicPartition("events", 0)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def die(lake: Lake, task: LakeTask, point: str, start: int) -> None:
    lake.fail.arm(point, crash)
    with pytest.raises(Crash):
        lake.write(task, start, numbers(start, start + 10))


def crash() -> NoReturn:
    raise Crash


def ids(lake: Lake) -> list[int]:
    return sorted(row["id"] for row in lake.rows())


def test_a_commit_that_was_not_published_is_finished_from_its_temporaries(lake: Lake) -> None:
    die(lake, lake.open(), "lake.manifest.put", 0)
    assert lake.files() == []
    assert len(lake.temporaries()) == 1
    task = lake.open(epoch=2)
    assert ids(lake) == list(range(10))
    assert lake.temporaries() == []
    assert task.standing.last.offsets == {EVENTS: 10}


def test_files_without_a_manifest_are_removed(lake: Lake) -> None:
    die(lake, lake.open(), "lake.manifest.before", 0)
    assert len(lake.temporaries()) == 1
    task = lake.open(epoch=2)
    assert lake.temporaries() == []
    assert task.standing.last is None


def test_temporaries_of_others_are_left_alone(lake: Lake) -> None:
    die(lake, lake.open(pipeline="site.b"), "lake.manifest.before", 0)
    theirs = lake.temporaries()
    foreign = lake.root / ".something.tmp"
    foreign.write_text("not ours")
    lake.open(pipeline="site").close()
    lake.open(pipeline="site.b~lake").close()
    assert sorted(lake.temporaries()) == sorted([*theirs, foreign])


def test_a_committed_file_that_is_nowhere_stops_the_sink(lake: Lake) -> None:
    die(lake, lake.open(), "lake.manifest.put", 0)
    lake.temporaries()[0].unlink()
    with pytest.raises(OutputDamaged) as caught:
        lake.open(epoch=2)
    assert str(lake.root) in str(caught.value)


def test_a_published_file_of_another_size_stops_the_sink(lake: Lake) -> None:
    task = lake.open()
    lake.write(task, 0, numbers(0, 10))
    lake.files()[0].write_bytes(b"short")
    with pytest.raises(OutputDamaged, match="5 bytes"):
        lake.open(epoch=2)


def test_a_damaged_manifest_stops_the_sink(lake: Lake) -> None:
    lake.write(lake.open(), 0, numbers(0, 10))
    manifest = sorted(lake.root.glob("_ingest/*/*/*.json"))[-1]
    manifest.write_bytes(manifest.read_bytes().replace(b'"commit":1', b'"commit":7'))
    with pytest.raises(OutputDamaged, match="checksum"):
        lake.open(epoch=2)


def test_a_writer_that_was_believed_dead_can_not_commit_after_another_has_opened(lake: Lake) -> None:
    zombie = lake.open(epoch=1)
    lake.write(zombie, 0, numbers(0, 10))
    lake.open(epoch=2)
    with pytest.raises(SinkFenced):
        lake.write(zombie, 10, numbers(10, 20))
    assert ids(lake) == list(range(10))
    assert lake.temporaries() == []


def test_a_zombie_that_publishes_late_does_no_harm(lake: Lake) -> None:
    zombie = lake.open(epoch=1)
    lake.fail.arm("lake.manifest.put", lambda: lake.open(epoch=2).close())
    lake.write(zombie, 0, numbers(0, 10))
    assert ids(lake) == list(range(10))


def test_closing_a_zombie_leaves_the_files_of_its_successor(lake: Lake) -> None:
    zombie = lake.open(epoch=1)
    die(lake, zombie, "lake.manifest.before", 0)
    successor = lake.open(epoch=2)
    die(lake, successor, "lake.manifest.put", 0)
    zombie.close()
    successor.close()
    lake.open(epoch=3)
    assert ids(lake) == list(range(10))


def test_a_commit_that_comes_while_another_takes_over_counts(lake: Lake) -> None:
    """The older writer commits between the newer one's look at the ledger and its own entry."""
    zombie = lake.open(epoch=1)
    zombie.put(delivery(0, numbers(0, 10)))
    lake.fail.arm("lake.published", lambda: None)
    real = lake.disk.link
    done: list[bool] = []

    def link(source: Path, target: Path) -> None:
        if not done:
            done.append(True)
            zombie.flush(force=True)
        real(source, target)

    lake.disk.link = link  # type: ignore[method-assign]
    task = lake.open(epoch=2)
    assert task.standing.last.offsets == {EVENTS: 10}
    assert lake.write(task, 10, numbers(10, 20)).number == 2
    assert ids(lake) == list(range(20))


def test_who_is_overtaken_while_opening_removes_nothing_of_the_newer_writer(lake: Lake) -> None:
    newer: list[LakeTask] = []

    def overtake() -> None:
        newer.append(lake.open(epoch=2))
        newer[0].put(delivery(0, numbers(0, 10)))
        newer[0]._open_files().finish()

    lake.fail.arm("lake.opened", overtake)
    with pytest.raises(SinkFenced):
        lake.open(epoch=1)
    assert len(lake.temporaries()) == 1


def test_an_older_run_can_not_open(lake: Lake) -> None:
    lake.open(epoch=5)
    with pytest.raises(SinkFenced):
        lake.open(epoch=4)


def test_another_hub_can_not_open_and_does_not_shut_out_the_first(lake: Lake) -> None:
    task = lake.open()
    lake.write(task, 0, numbers(0, 10))
    with pytest.raises(IdentityMismatch):
        lake.open(epoch=9, hub_id="another")
    lake.write(task, 10, numbers(10, 20))
    assert ids(lake) == list(range(20))


def test_two_sinks_share_a_folder(lake: Lake) -> None:
    one, two = lake.open(pipeline="one"), lake.open(pipeline="two")
    lake.write(one, 0, numbers(0, 10))
    die(lake, two, "lake.manifest.put", 0)
    lake.write(one, 10, numbers(10, 20))
    lake.open(pipeline="one", epoch=2)
    assert len(ids(lake)) == 20
    lake.open(pipeline="two", epoch=2)
    assert len(ids(lake)) == 30


def test_a_put_whose_answer_was_lost_is_found_to_have_landed(lake: Lake) -> None:
    task = lake.open()
    real = lake.disk.link

    def link(source: Path, target: Path) -> None:
        real(source, target)
        lake.disk.link = real  # type: ignore[method-assign]
        raise FileExistsError

    lake.disk.link = link  # type: ignore[method-assign]
    assert lake.write(task, 0, numbers(0, 10)).number == 1
    assert ids(lake) == list(range(10))


def test_offsets_that_were_committed_are_not_taken_again(lake: Lake) -> None:
    task = lake.open()
    lake.write(task, 0, numbers(0, 10))
    with pytest.raises(IdentityMismatch):
        task.put(delivery(9, numbers(9, 12)))


def test_a_task_is_of_no_use_after_a_commit_has_failed(lake: Lake) -> None:
    class FullDisk(type(lake.disk)):  # type: ignore[misc]
        def link(self, source: Path, target: Path) -> None:
            raise OSError(28, "No space left on device", str(target))

    task = lake.open()
    task._store._disk = FullDisk()  # the disk fills up after the files were written
    with pytest.raises(StorageFailed) as caught:
        lake.write(task, 0, numbers(0, 10))
    assert "No space left" in str(caught.value)
    with pytest.raises(ConnectorError):
        task.flush(force=True)
    assert lake.files() == []
    assert lake.write(lake.open(epoch=2), 0, numbers(0, 10)).number == 1
    assert ids(lake) == list(range(10))


@pytest.mark.parametrize("point", FAIL_POINTS)
def test_a_power_cut_at_each_step_loses_and_doubles_nothing(tmp_path: Path, point: str) -> None:
    disk = PowerCutDisk(tmp_path)
    lake = Lake(tmp_path, {"partition_by": ["id"]}, disk=disk)
    lake.fail.arm(point, crash)
    try:
        task = lake.open()
        for start in (0, 3):
            lake.write(task, start, numbers(start, start + 3, row="x"))
    except Crash:
        pass
    disk.cut()
    task = lake.open(epoch=2)
    start = task.standing.last.offsets[EVENTS] if task.standing.last else 0
    if start < 6:
        lake.write(task, start, numbers(start, 6, row="x"))
    disk.cut()
    names = sorted(file.parent.name for file in lake.files())
    assert names == [f"id={number}" for number in range(6)]
    assert len(lake.rows()) == 6
