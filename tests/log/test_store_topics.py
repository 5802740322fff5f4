"""Topics of a data folder: made, changed and removed, with a crash at every step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hubs import Crash, abandon, crash, open_hub, read, records
from powercut import PowerCutDisk

from ingest.errors import FolderInvalid, TopicExists, TopicInvalid, TopicMissing
from ingest.failpoints import FailPoints
from ingest.hub.embedded import EmbeddedHub

CREATE_STEPS = ["store.create-topic.folder", "store.create-topic.folders", "store.create-topic.listed"]
DELETE_STEPS = ["store.delete-topic.unlisted", "store.delete-topic.folder"]


def names(hub: EmbeddedHub) -> list[str]:
    return [info.name for info in hub.topics() if not info.internal]


def test_topics_survive_reopening_with_their_ids_and_settings(tmp_path: Path) -> None:
    hub = open_hub(tmp_path)
    made = hub.create_topic("t", 3, {"retention.ms": "1000"})
    hub.close()
    hub = open_hub(tmp_path)
    assert hub.topic("t") == made
    assert (made.partitions, made.config, made.internal) == (3, {"retention.ms": "1000"}, False)
    hub.close()


@pytest.mark.parametrize(
    "name", ["", "a b", "ä", ".", "..", "a/b", "x" * 250, "_ingest_positions", "__transaction_state"]
)
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    hub = open_hub(tmp_path)
    with pytest.raises(TopicInvalid):
        hub.create_topic(name)
    assert names(hub) == []
    hub.close()


def test_the_longest_name_works(tmp_path: Path) -> None:
    hub = open_hub(tmp_path)
    name = "x" * 249
    hub.create_topic(name)
    hub.append(records("a", topic=name), 0).result(10)
    assert read(hub, name) == ["a"]
    hub.delete_topic(name)
    hub.close()


def test_names_that_look_like_folders_of_others_are_kept_apart(tmp_path: Path) -> None:
    hub = open_hub(tmp_path)
    hub.create_topic("a")
    hub.create_topic("a-0")
    hub.append(records("one", topic="a"), 0).result(10)
    hub.append(records("two", topic="a-0"), 0).result(10)
    hub.delete_topic("a")
    hub.close()
    hub = open_hub(tmp_path)
    assert (names(hub), read(hub, "a-0")) == (["a-0"], ["two"])
    hub.close()


def test_mistakes_with_topics_are_errors(tmp_path: Path) -> None:
    hub = open_hub(tmp_path)
    hub.create_topic("t", 2)
    with pytest.raises(TopicExists):
        hub.create_topic("t")
    with pytest.raises(TopicInvalid, match=r"retention\.ms"):
        hub.create_topic("u", config={"retention.mss": "1"})
    with pytest.raises(TopicInvalid, match="1 to"):
        hub.create_topic("u", 0)
    with pytest.raises(TopicInvalid, match="cannot shrink"):
        hub.alter_topic("t", partitions=1)
    with pytest.raises(TopicMissing):
        hub.alter_topic("u", partitions=1)
    with pytest.raises(TopicMissing):
        hub.delete_topic("u")
    with pytest.raises(TopicInvalid, match="belongs to the hub"):
        hub.delete_topic("_ingest_groups")
    with pytest.raises(TopicMissing, match="0 to 1, not 2"):
        hub.append(records("a"), 2)
    hub.close()


def test_a_topic_grows_and_its_settings_change(tmp_path: Path) -> None:
    hub = open_hub(tmp_path)
    hub.create_topic("t", 1, {"retention.ms": "1000", "segment.bytes": "100000"})
    hub.alter_topic("t", partitions=3, config={"retention.ms": None, "max.message.bytes": "5000"})
    hub.append(records("x"), 2).result(10)
    hub.close()
    hub = open_hub(tmp_path)
    assert hub.topic("t").partitions == 3
    assert hub.topic("t").config == {"segment.bytes": "100000", "max.message.bytes": "5000"}
    assert read(hub, "t", 2) == ["x"]
    hub.close()


@pytest.mark.parametrize("spare", [0.0, 1.0])
@pytest.mark.parametrize("step", CREATE_STEPS)
def test_a_topic_half_made_is_there_whole_or_not_at_all(tmp_path: Path, step: str, spare: float) -> None:
    disk, fail = PowerCutDisk(tmp_path, spare=spare), FailPoints()
    hub = open_hub(tmp_path, disk, fail)
    fail.arm(step, crash)
    with pytest.raises(Crash):
        hub.create_topic("t", 2)
    abandon(hub)
    disk.cut()
    hub = open_hub(tmp_path, disk)
    assert names(hub) == (["t"] if step == CREATE_STEPS[-1] else [])
    if not names(hub):
        assert list(tmp_path.glob("t-*")) == []
        hub.create_topic("t", 2)
    hub.append(records("a"), 1).result(10)
    assert read(hub, "t", 1) == ["a"]
    hub.close()


@pytest.mark.parametrize("spare", [0.0, 1.0])
@pytest.mark.parametrize("step", DELETE_STEPS)
def test_a_topic_half_removed_is_gone_after_opening(tmp_path: Path, step: str, spare: float) -> None:
    disk, fail = PowerCutDisk(tmp_path, spare=spare), FailPoints()
    hub = open_hub(tmp_path, disk, fail)
    hub.create_topic("t", 2)
    hub.append(records(*"abc"), 0).result(10)
    fail.arm(step, crash)
    with pytest.raises(Crash):
        hub.delete_topic("t")
    abandon(hub)
    disk.cut()
    hub = open_hub(tmp_path, disk)
    assert names(hub) == []
    assert list(tmp_path.glob("t-*")) == []
    assert json.loads((tmp_path / "topics.json").read_text())["deleting"] == {}
    hub.close()


def test_a_topic_made_again_inherits_nothing(tmp_path: Path) -> None:
    hub = open_hub(tmp_path)
    first = hub.create_topic("t")
    hub.append(records(*"abcdef"), 0).result(10)
    hub.delete_records("t", 0, 4)
    hub._store.checkpoint()
    hub.delete_topic("t")
    second = hub.create_topic("t")
    assert first.id != second.id
    hub.append(records("x"), 0).result(10)
    abandon(hub)
    hub = open_hub(tmp_path)
    assert (hub.start_offset("t", 0), read(hub)) == (0, ["x"])
    hub.close()


def test_a_folder_with_records_that_nobody_listed_is_left_alone(tmp_path: Path) -> None:
    hub = open_hub(tmp_path)
    (tmp_path / "stray-0").mkdir()
    (tmp_path / "stray-0" / f"{0:020d}.log").write_bytes(b"precious")
    hub.close()
    said: list[str] = []
    hub = EmbeddedHub.open(tmp_path, report=said.append)
    assert any("stray-0 belongs to no topic" in line for line in said)
    with pytest.raises(TopicInvalid, match="holds records"):
        hub.create_topic("stray")
    hub.close()
    assert (tmp_path / "stray-0" / f"{0:020d}.log").read_bytes() == b"precious"


def test_a_folder_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data-0").mkdir()
    with pytest.raises(FolderInvalid, match=r"no meta\.properties"):
        open_hub(tmp_path)
    (tmp_path / "meta.properties").write_text("cluster.id=x\ningest.folder.version=99\n")
    with pytest.raises(FolderInvalid, match="version 99"):
        open_hub(tmp_path)
    (tmp_path / "meta.properties").write_bytes(b"\xff\xfe")
    with pytest.raises(FolderInvalid, match="not the file"):
        open_hub(tmp_path)


def test_a_missing_partition_is_an_error_never_an_empty_one(tmp_path: Path) -> None:
    hub = open_hub(tmp_path)
    hub.create_topic("t")
    hub.close()
    for path in (tmp_path / "t-0").iterdir():
        path.unlink()
    (tmp_path / "t-0").rmdir()
    with pytest.raises(FolderInvalid, match="is gone"):
        open_hub(tmp_path)
