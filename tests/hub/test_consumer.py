"""Reading from a program."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import ingest
from ingest.connectors import TIMESTAMP, Records, TopicPartition
from ingest.errors import Closed, DecodeFailed, OffsetOutOfRange, TopicMissing, UsageError
from ingest.hub.client import Client
from ingest.hub.consumer import Consumer


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with ingest.connect(tmp_path / "data") as opened:
        opened.create_topic("t", 4)
        yield opened


def fill(client: Client, *texts: str, topic: str = "t", partition: int = 0) -> None:
    client.hub.append(Records(topic=topic, value=pa.array(texts, pa.string())), partition).result(10)


def values(consumer: Consumer, timeout_ms: int = 0) -> list[object]:
    return [row.value for row in consumer.rows(timeout_ms)]


def test_rows_and_columns_of_all_partitions(client: Client) -> None:
    fill(client, "a", "b", partition=0)
    fill(client, "c", partition=2)
    rows = client.consumer("t").rows(0)
    assert [(row.topic, row.partition, row.offset, row.value) for row in rows] == [
        ("t", 0, 0, b"a"), ("t", 0, 1, b"b"), ("t", 2, 0, b"c"),
    ]  # fmt: skip
    columns = client.consumer("t").poll(0)
    assert [(found.partition, found.value.to_pylist()) for found in columns] == [(0, [b"a", b"b"]), (2, [b"c"])]


def test_poll_waits_for_what_comes(client: Client) -> None:
    consumer = client.consumer("t")
    assert consumer.poll(20) == []
    threading.Timer(0.05, lambda: fill(client, "late", partition=3)).start()
    assert values(consumer, 30_000) == [b"late"]


def test_typed_topics_give_rows_with_columns(client: Client) -> None:
    client.create_topic("j", format="json")
    client.producer("j").send({"a": 1, "b": "x"}).result(10)
    assert values(client.consumer("j")) == [{"a": 1, "b": "x"}]
    assert values(client.consumer("j", raw=True)) == [b'{"a":1,"b":"x"}']


def test_a_value_that_is_not_in_the_format_names_its_offset(client: Client) -> None:
    client.create_topic("j", format="json")
    client.producer("j").send({"a": 1}).result(10)
    fill(client, "{broken", topic="j")
    consumer = client.consumer("j")
    with pytest.raises(DecodeFailed, match="offset 1 of j-0"):
        consumer.poll(0)
    consumer.seek(TopicPartition("j", 0), 2)
    assert values(consumer) == []


def test_where_to_start_and_seeking(client: Client) -> None:
    times = pa.array([10, 20, 30], TIMESTAMP)
    client.hub.append(Records(topic="t", value=pa.array(["a", "b", "c"]), timestamp=times), 0).result(10)
    consumer = client.consumer("t", start="end")
    assert values(consumer) == []
    consumer.seek_to_beginning()
    assert values(consumer) == [b"a", b"b", b"c"]
    consumer.seek_to_time(20)
    assert values(consumer) == [b"b", b"c"]
    consumer.seek(TopicPartition("t", 0), 2)
    assert values(consumer) == [b"c"]
    consumer.seek_to_time(31)
    assert values(consumer) == []
    assert consumer.position(TopicPartition("t", 0)) == 3
    consumer.seek_to_beginning()
    consumer.seek_to_end()
    assert values(consumer) == []


def test_assigned_partitions_are_read_alone(client: Client) -> None:
    fill(client, "a", partition=0)
    fill(client, "b", partition=1)
    consumer = client.consumer()
    consumer.assign([TopicPartition("t", 1)])
    assert values(consumer) == [b"b"]
    with pytest.raises(TopicMissing):
        consumer.assign([TopicPartition("t", 9)])
    with pytest.raises(UsageError, match="either"):
        client.consumer("t").assign([TopicPartition("t", 1)])
    with pytest.raises(UsageError, match="not assigned"):
        consumer.seek(TopicPartition("t", 0), 0)


def test_paused_partitions_are_left_out(client: Client) -> None:
    consumer = client.consumer("t")
    consumer.pause([TopicPartition("t", 0)])
    fill(client, "a", partition=0)
    fill(client, "b", partition=1)
    assert values(consumer, 100) == [b"b"]
    consumer.resume([TopicPartition("t", 0)])
    assert values(consumer) == [b"a"]


def test_a_pattern_takes_in_topics_that_come_later(client: Client) -> None:
    consumer = client.consumer(pattern="logs\\..*")
    client.create_topic("logs.a")
    client.create_topic("other")
    fill(client, "x", topic="logs.a")
    fill(client, "y", topic="other")
    assert values(consumer, 10_000) == [b"x"]
    assert {place.topic for place in consumer.assignment()} == {"logs.a"}


def test_a_deleted_topic_is_let_go(client: Client) -> None:
    consumer = client.consumer(["t", "gone"])
    client.create_topic("gone")
    fill(client, "x", topic="gone")
    assert values(consumer, 10_000) == [b"x"]
    client.delete_topic("gone")
    fill(client, "a")
    assert values(consumer, 10_000) == [b"a"]
    assert {place.topic for place in consumer.assignment()} == {"t"}


def test_aborted_records_are_hidden_unless_asked_for(client: Client) -> None:
    transaction = client.hub.transaction(client.hub.register_writer("w"))
    transaction.append(Records(topic="t", value=pa.array(["void"])), 0)
    transaction.abort()
    fill(client, "real")
    assert values(client.consumer("t")) == [b"real"]
    assert values(client.consumer("t", committed=False)) == [b"void", b"real"]


def test_what_retention_took_is_an_error_not_a_silent_jump(client: Client) -> None:
    fill(client, "a", "b", "c")
    consumer = client.consumer("t", group="g")
    client.hub.commit_group("g", {TopicPartition("t", 0): 1})
    client.hub.delete_records("t", 0, 2)
    with pytest.raises(OffsetOutOfRange, match="seek_to_beginning"):
        consumer.poll(0)
    consumer.seek_to_beginning()
    assert values(consumer) == [b"c"]


def test_memory_of_one_poll_is_bounded(client: Client) -> None:
    for partition in range(4):
        fill(client, *("x" * 1000 for _ in range(2000)), partition=partition)
    consumer = client.consumer("t", max_bytes=1 << 20)
    seen = 0
    while found := consumer.poll(0):
        assert sum(records.nbytes for records in found) < 3 << 20
        seen += sum(map(len, found))
    assert seen == 8000


# Groups.


def test_a_group_goes_on_where_it_stood(client: Client) -> None:
    fill(client, "a", "b")
    with client.consumer("t", group="g") as consumer:
        assert values(consumer) == [b"a", b"b"]
    fill(client, "c")
    with client.consumer("t", group="g") as consumer:
        assert values(consumer) == [b"c"]
        assert consumer.committed() == {TopicPartition("t", 0): 2}
    with client.consumer("t", group="g", auto_commit=False) as consumer:
        fill(client, "d")
        assert values(consumer) == [b"d"]
    with client.consumer("t", group="g", auto_commit=False) as consumer:
        assert values(consumer) == [b"d"]
        consumer.commit()
    assert client.hub.group_offsets("g") == {TopicPartition("t", 0): 4}
    with pytest.raises(UsageError, match="of a group"):
        client.consumer("t").commit()


def test_members_share_partitions_and_no_record_is_read_twice(client: Client) -> None:
    first = client.consumer("t", group="g")
    seen = values(first)
    second = client.consumer("t", group="g")
    for n in range(4):
        fill(client, f"r{n}", partition=n)
    for _ in range(4):
        seen += values(second)
        seen += values(first)
    assert len(first.assignment()) == len(second.assignment()) == 2
    assert not first.assignment() & second.assignment()
    assert sorted(map(str, seen)) == sorted(str(f"r{n}".encode()) for n in range(4))


def test_a_leaving_members_partitions_go_to_the_others_where_it_stood(client: Client) -> None:
    first, second = client.consumer("t", group="g"), client.consumer("t", group="g")
    for n in range(4):
        fill(client, f"r{n}", partition=n)
    for _ in range(3):
        values(first)
        values(second)
    second.close()
    for n in range(4):
        fill(client, f"s{n}", partition=n)
    assert sorted(map(str, values(first))) == sorted(str(f"s{n}".encode()) for n in range(4))
    assert len(first.assignment()) == 4


def test_a_member_that_stays_away_loses_its_partitions(client: Client) -> None:
    first = client.consumer("t", group="g", max_poll_interval_ms=50)
    fill(client, "a")
    assert values(first) == [b"a"]
    second = client.consumer("t", group="g")
    assert values(second, 10_000) == [b"a"]  # the first never committed
    fill(client, "b")
    assert values(second, 10_000) == [b"b"]
    first.close()
    assert client.hub.group_offsets("g").get(TopicPartition("t", 0), 0) != 1


def test_consumers_of_other_groups_and_without_one_see_everything(client: Client) -> None:
    fill(client, "a")
    for options in ({"group": "g"}, {"group": "h"}, {}, {}):
        assert values(client.consumer("t", **options)) == [b"a"]


def test_a_closed_consumer_says_so(client: Client) -> None:
    consumer = client.consumer("t")
    consumer.close()
    consumer.close()
    with pytest.raises(Closed):
        consumer.poll(0)
    assert list(consumer) == []
