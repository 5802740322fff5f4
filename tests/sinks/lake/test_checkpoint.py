"""Sums of manifests: they say what the manifests say, and nothing depends on them."""

from __future__ import annotations

from pathlib import Path

import pytest
from compacting import compact, store_of
from lake import Lake, numbers

from ingest.connectors.testing import Crash
from ingest.sinks.lake import commit_task
from ingest.sinks.lake.checkpoint import checkpoint_if_due, look, newest_checkpoint
from ingest.sinks.lake.ledger import Ledger
from ingest.sinks.lake.manifest import Entry
from ingest.sinks.lake.reading import open_dataset
from ingest.sinks.lake.table_view import TableView, read_on


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path)
    task = lake.open(partition_by=["part"])
    for start in range(0, 60, 10):
        lake.write(task, start, [{"id": number, "part": number % 2} for number in range(start, start + 10)])
    return lake


def checkpoints(lake: Lake) -> list[Path]:
    return sorted(lake.root.glob("_ingest/*/checkpoints/*.json"))


def rows(lake: Lake) -> int:
    return int(open_dataset("lake", lake.folder).count_rows())


def test_it_says_what_all_manifests_say(lake: Lake) -> None:
    compact(lake)
    store = store_of(lake)
    assert checkpoint_if_due(store, "site~lake", every=5)
    found = newest_checkpoint(store, "site~lake")
    assert found is not None
    assert found.says_the_same(read_on(store, "site~lake", TableView()))
    assert (found.sequence, found.commit, len(found.files)) == (7, 6, 2)


def test_what_came_before_it_is_not_read_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_of(lake)
    checkpoint_if_due(store, "site~lake", every=1)
    lake.write(lake.open(epoch=2, partition_by=["part"]), 60, [{"id": 60, "part": 0}])
    read: list[int] = []
    entry = Ledger.entry

    def counted(self: Ledger, sequence: int) -> Entry:
        read.append(sequence)
        return entry(self, sequence)

    monkeypatch.setattr(Ledger, "entry", counted)
    assert len(look(store, "site~lake").files) == 13
    assert read == [8, 9]


@pytest.mark.parametrize("damage", [b"", b"{}\n{}\n", b"no"])
def test_a_damaged_one_is_passed_over(lake: Lake, damage: bytes) -> None:
    store = store_of(lake)
    checkpoint_if_due(store, "site~lake", every=1)
    lake.write(lake.open(epoch=2, partition_by=["part"]), 60, [{"id": 60, "part": 0}])
    checkpoint_if_due(store, "site~lake", every=1)
    checkpoints(lake)[-1].write_bytes(damage)
    assert rows(lake) == 61
    for path in checkpoints(lake):
        path.write_bytes(damage)
    assert rows(lake) == 61


def test_the_newest_two_are_kept(lake: Lake) -> None:
    task = lake.open(epoch=2, partition_by=["part"])
    for start in range(60, 100, 10):
        lake.write(task, start, [{"id": start, "part": 0}] * 10)
        checkpoint_if_due(store_of(lake), "site~lake", every=1)
    assert len(checkpoints(lake)) == 2
    assert rows(lake) == 100


def test_none_is_written_while_a_commit_is_not_visible(lake: Lake) -> None:
    def crash() -> None:
        raise Crash

    lake.fail.arm("lake.manifest.put", crash)
    with pytest.raises(Crash):
        lake.write(lake.open(epoch=2, partition_by=["part"]), 60, numbers(60, 70, part=1))
    assert not checkpoint_if_due(store_of(lake), "site~lake", every=1)
    lake.open(epoch=3, partition_by=["part"])
    assert checkpoint_if_due(store_of(lake), "site~lake", every=1)
    assert rows(lake) == 70


def test_the_sink_writes_one_now_and_then(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit_task, "CHECKPOINT_EVERY", 4)
    task = lake.open(epoch=2, partition_by=["part"])
    for start in range(60, 120, 10):
        lake.write(task, start, [{"id": start, "part": 0}] * 10)
    assert [path.name[:20] for path in checkpoints(lake)] == ["00000000000000000012"]
    assert rows(lake) == 120
