"""What a schedule waits for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hubs import open_hub, records

from ingest.connectors import TIMESTAMP, Records, TopicPartition
from ingest.errors import ConfigError
from ingest.hub.embedded import EmbeddedHub
from ingest.pipelines.conditions import CompleteUpTo, Condition, LagAtMost, OffsetReached, condition, look_at

T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)
NOON = 1_700_000_000_000
MINUTE = 60_000


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[EmbeddedHub]:
    hub = open_hub(tmp_path / "data")
    hub.create_topic("t", partitions=2)
    yield hub
    hub.close()


def holds(hub: EmbeddedHub, wanted: Condition, now_ms: int = NOON) -> bool:
    return wanted.look(hub, now_ms).holds


def add(hub: EmbeddedHub, partition: int, *times_ms: int) -> None:
    stamped = Records(
        value=pa.array(["x"] * len(times_ms)), timestamp=pa.array(times_ms, pa.int64()).cast(TIMESTAMP), topic="t"
    )
    hub.append(stamped, partition).result()


def abort(hub: EmbeddedHub, given: Records, partition: int) -> None:
    transaction = hub.transaction(hub.register_writer("w"))
    appended = transaction.append(given, partition)
    transaction.abort()
    assert hub.wait({TopicPartition("t", partition): appended.base_offset}, 60_000)


def test_an_offset_is_reached_when_every_partition_has_it(hub: EmbeddedHub) -> None:
    hub.append(records("a", "b"), 0).result()
    assert holds(hub, OffsetReached("t", 2, partition=0))
    assert not holds(hub, OffsetReached("t", 2))
    hub.append(records("a", "b"), 1).result()
    assert holds(hub, OffsetReached("t", 2))
    assert not holds(hub, OffsetReached("t", 3))


def test_an_offset_of_a_group_is_reached_when_the_group_has_delivered_it(hub: EmbeddedHub) -> None:
    hub.append(records("a", "b"), 0).result()
    wanted = OffsetReached("t", 2, partition=0, group="p.lake")
    assert not holds(hub, wanted)
    hub.commit_group("p.lake", {T0: 2})
    assert holds(hub, wanted)


def test_a_lag_counts_all_partitions_of_the_topics_and_a_group_that_never_ran_has_none(hub: EmbeddedHub) -> None:
    for partition in (0, 1):
        hub.append(records(*"abcde"), partition).result()
    assert not holds(hub, LagAtMost("p.lake", 100, topics=["t"]))
    hub.commit_group("p.lake", {T0: 4})
    assert LagAtMost("p.lake", 6).look(hub, NOON).facts["lag"] == 6, "the second partition counts although unread"
    assert holds(hub, LagAtMost("p.lake", 6))
    assert not holds(hub, LagAtMost("p.lake", 5))


def test_deleted_records_are_no_lag(hub: EmbeddedHub) -> None:
    hub.append(records(*"abcde"), 0).result()
    hub.commit_group("p.lake", {T0: 0})
    hub.delete_records("t", 0, 5)
    assert holds(hub, LagAtMost("p.lake", 0))


def test_what_was_aborted_is_not_waited_for(hub: EmbeddedHub) -> None:
    add(hub, 0, NOON - 1)
    add(hub, 1, NOON - 1)
    hub.commit_group("p.lake", {T0: 1, T1: 1})
    abort(hub, records("a", "b"), 0)
    assert hub.end_offset("t", 0) == 4, "two records and a marker, and nobody will ever see one of them"
    assert holds(hub, LagAtMost("p.lake", 0))
    assert holds(hub, CompleteUpTo("p.lake", ["t"], NOON, idle_ms=MINUTE), NOON + MINUTE)
    hub.append(records("c"), 0).result()
    assert not holds(hub, LagAtMost("p.lake", 0))


def test_an_hour_is_complete_once_what_came_before_its_end_is_delivered(hub: EmbeddedHub) -> None:
    for partition in (0, 1):
        add(hub, partition, NOON - MINUTE, NOON - 1, NOON + 1)
    wanted = CompleteUpTo("p.lake", ["t"], NOON)
    hub.commit_group("p.lake", {T0: 2, T1: 1})
    assert wanted.look(hub, NOON).facts["waiting_for"] == ["t-1"]
    hub.commit_group("p.lake", {T1: 2})
    assert holds(hub, wanted), "the record after noon is not needed"


def test_late_records_are_waited_for_as_long_as_is_said(hub: EmbeddedHub) -> None:
    for partition in (0, 1):
        add(hub, partition, NOON + 1)
    hub.commit_group("p.lake", {T0: 1, T1: 1})
    wanted = CompleteUpTo("p.lake", ["t"], NOON, lateness_ms=MINUTE)
    assert not holds(hub, wanted)
    for partition in (0, 1):
        add(hub, partition, NOON + MINUTE)
    assert holds(hub, wanted)


def test_a_quiet_partition_is_complete_when_the_clock_says_so_and_no_sooner(hub: EmbeddedHub) -> None:
    add(hub, 0, NOON - 1)
    wanted = CompleteUpTo("p.lake", ["t"], NOON, idle_ms=MINUTE)
    hub.commit_group("p.lake", {T0: 1})
    assert not holds(hub, wanted, now_ms=NOON + MINUTE - 1)
    assert holds(hub, wanted, now_ms=NOON + MINUTE)
    add(hub, 0, NOON - 1)
    assert not holds(hub, wanted, now_ms=NOON + MINUTE), "what came is not delivered yet"


@pytest.mark.parametrize(
    "wanted",
    [OffsetReached("t", 5, 1, "g"), LagAtMost("g", 3, ["t"]), CompleteUpTo("g", ["t"], NOON, 5, 6)],
)
def test_a_condition_survives_being_written_down(wanted: Condition) -> None:
    assert condition(json.loads(json.dumps(wanted.as_dict()))) == wanted


def test_what_is_no_condition_is_refused() -> None:
    with pytest.raises(ConfigError):
        condition({"kind": "weather"})


def test_a_hub_that_is_not_there_yet_is_waited_for_and_not_made(tmp_path: Path) -> None:
    assert not look_at(str(tmp_path / "data"), OffsetReached("t", 0), NOON).holds
    assert not (tmp_path / "data").exists()


def test_a_look_needs_no_lock(hub: EmbeddedHub, tmp_path: Path) -> None:
    hub.append(records("a"), 0).result()
    assert look_at(str(tmp_path / "data"), OffsetReached("other", 1), NOON).facts == {"missing": "other"}
    assert look_at(str(tmp_path / "data"), OffsetReached("t", 0), NOON).holds
