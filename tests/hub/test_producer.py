"""Sending from a program."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hubs import CountingDisk, FailingDisk, read

import ingest
from ingest.connectors import Records
from ingest.environment import Environment
from ingest.errors import Closed, ConfigError, Fenced, FormatError, StorageFailed, TopicMissing, UsageError
from ingest.hub.client import Client


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with ingest.connect(tmp_path / "data") as opened:
        opened.create_topic("t", 4)
        yield opened


def everything(client: Client, topic: str = "t") -> list[list[str]]:
    return [read(client.hub, topic, n) for n in range(client.topic(topic).partitions)]


def test_each_record_tells_where_it_went(client: Client) -> None:
    producer = client.producer("t")
    delivered = [producer.send(f"v{n}", partition=n % 2).result(10) for n in range(4)]
    assert [(where.topic, where.partition, where.offset) for where in delivered] == [
        ("t", 0, 0), ("t", 1, 0), ("t", 0, 1), ("t", 1, 1),
    ]  # fmt: skip
    assert everything(client) == [["v0", "v2"], ["v1", "v3"], [], []]


def test_records_that_linger_share_a_batch(tmp_path: Path) -> None:
    disk = CountingDisk()
    with ingest.connect(tmp_path, env=Environment(disk=disk)) as client:
        client.create_topic("t")
        producer = client.producer("t", linger_ms=60_000)
        disk.syncs.clear()
        futures = [producer.send(f"v{n}") for n in range(100)]
        assert disk.syncs == []
        producer.flush()
        assert [future.result(10).offset for future in futures] == list(range(100))
        assert disk.syncs == ["t-0"]


def test_a_full_batch_does_not_linger(client: Client) -> None:
    producer = client.producer("t", linger_ms=60_000, batch_bytes=1000)
    first = producer.send("x" * 600)
    producer.send("x" * 600)
    assert first.result(10).offset == 0


def test_keys_choose_the_partition_as_kafka_does(client: Client) -> None:
    producer = client.producer("t")
    found = {key: producer.send("v", key=key).result(10).partition for key in ("a", "b", "21", "foobar", "")}
    # murmur2 of these keys, as the Java client computes it: 21 -> -973932308, foobar -> -790332482.
    assert found["21"] == (-973932308 & 0x7FFFFFFF) % 4
    assert found["foobar"] == (-790332482 & 0x7FFFFFFF) % 4
    assert producer.send("v", key=b"a").result(10).partition == found["a"]


def test_records_without_a_key_stick_to_a_partition_until_the_batch_is_full(client: Client) -> None:
    producer = client.producer("t", linger_ms=60_000, batch_bytes=1000)
    futures = [producer.send("x" * 400) for _ in range(12)]
    producer.flush()
    partitions = [future.result(0).partition for future in futures]
    assert partitions == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3


def test_a_partitioner_of_the_programs_own(client: Client) -> None:
    producer = client.producer("t", partitioner=lambda key, partitions: partitions - 1 if key is None else len(key))
    assert producer.send("v").result(10).partition == 3
    assert producer.send("v", key="ab").result(10).partition == 2


def test_columns_go_behind_what_was_sent_before_and_keep_their_order(client: Client) -> None:
    producer = client.producer("t", linger_ms=60_000)
    first = producer.send("first", key="k")
    keys = pa.array(["k", "other", "k"])
    parts = producer.send_columns(Records(value=pa.array(["a", "b", "c"]), key=keys))
    where = first.result(10).partition
    assert sum(part.result(10).count for part in parts) == 3
    assert everything(client)[where] == (["first", "a", "b", "c"] if len(parts) == 1 else ["first", "a", "c"])
    assert len(producer.send_columns(Records(value=pa.array(["x"])), partition=1)) == 1


def test_rows_go_to_a_topic_with_a_format_and_widen_its_schema(client: Client) -> None:
    client.create_topic("j", format="json")
    producer = client.producer("j")
    producer.send({"a": 1}).result(10)
    producer.send({"a": 2, "b": "x"}).result(10)
    assert everything(client, "j") == [['{"a":1}', '{"a":2,"b":"x"}']]


def test_what_does_not_fit_fails_alone_or_says_so(client: Client) -> None:
    producer = client.producer("t")
    with pytest.raises(FormatError, match="no format for columns"):
        producer.send({"a": 1}).result(10)
    with pytest.raises(TopicMissing):
        producer.send("x", topic="nope")
    with pytest.raises(UsageError, match="no topic"):
        client.producer().send("x")
    assert producer.send("fine").result(10).offset == 0


def test_a_row_that_the_schema_refuses_takes_no_neighbour_with_it(client: Client) -> None:
    client.create_topic("lines", format="lines")
    producer = client.producer("lines", linger_ms=60_000)
    futures = [producer.send(value) for value in ("a", "x" * 1_040_000, "b")]
    producer.flush()
    outcomes = [future.exception(10) for future in futures]
    assert [type(outcome) for outcome in outcomes] in ([type(None)] * 3, [type(None), FormatError, type(None)])
    assert read(client.hub, "lines")[0] == "a"


def test_tombstones_headers_and_times_travel(client: Client) -> None:
    client.producer("t").send(None, key="k", headers={"h": b"1"}, timestamp_ms=7, partition=0).result(10)
    found = client.hub.read("t", 0, 0, max_bytes=100).records
    assert found is not None
    assert found.headers is not None
    assert found.value.to_pylist() == [None]
    assert found.headers.to_pylist() == [[{"key": "h", "value": b"1"}]]


def test_senders_wait_while_the_buffer_is_full(tmp_path: Path) -> None:
    disk = CountingDisk()
    with ingest.connect(tmp_path, env=Environment(disk=disk)) as client:
        client.create_topic("t")
        producer = client.producer("t", buffer_bytes=2000, linger_ms=60_000)
        disk.gate.clear()
        sent: list[int] = []

        def send() -> None:
            for n in range(20):
                producer.send("x" * 500)
                sent.append(n)

        sender = threading.Thread(target=send)
        sender.start()
        assert disk.arrived.wait(30)
        sender.join(0.2)
        assert sender.is_alive()
        assert len(sent) <= 5
        disk.gate.set()
        sender.join(60)
        producer.flush()
        assert len(read(client.hub)) == 20


def test_a_failing_disk_is_told_by_the_futures(tmp_path: Path) -> None:
    disk = FailingDisk()
    with ingest.connect(tmp_path, env=Environment(disk=disk)) as client:
        client.create_topic("t")
        producer = client.producer("t")
        disk.failing = True
        with pytest.raises(StorageFailed):
            producer.send("x").result(30)
        producer.flush()
        disk.failing = False
        assert producer.send("y").result(30).offset == 0


def test_closing_sends_what_waits_and_refuses_what_comes_later(client: Client) -> None:
    producer = client.producer("t", linger_ms=60_000)
    future = producer.send("x", partition=0)
    producer.close()
    producer.close()
    assert future.result(0).offset == 0
    with pytest.raises(Closed):
        producer.send("y")


def test_a_transaction_is_a_block(client: Client) -> None:
    producer = client.producer("t", name="orders", batch_bytes=300)
    with producer.transaction() as transaction:
        for n in range(5):
            transaction.send("x" * 100 + str(n), partition=0)
        transaction.send_columns(Records(value=pa.array(["c"])), partition=1)
        transaction.put_positions("orders", {"input": {"line": 5}})
        assert read(client.hub) == []
    assert [text[-1] for text in read(client.hub)] == list("01234")
    assert client.hub.positions("orders") == {"input": {"line": 5}}
    with pytest.raises(KeyError), producer.transaction() as transaction:
        transaction.send("never", partition=0)
        raise KeyError
    assert len(read(client.hub)) == 5


def test_a_newer_producer_of_the_same_name_fences_the_older(client: Client) -> None:
    old, new = client.producer("t", name="orders"), client.producer("t", name="orders")
    with old.transaction() as transaction:
        transaction.send("a", partition=0)
    with new.transaction() as transaction:
        transaction.send("b", partition=0)
    with pytest.raises(Fenced), old.transaction():
        pytest.fail("an old epoch must not begin")
    assert read(client.hub) == ["a", "b"]
    with pytest.raises(ingest.errors.TransactionInvalid, match="needs a name"), client.producer("t").transaction():
        pass


def test_hubs_are_named_by_a_folder_for_now(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not supported yet"):
        ingest.connect("kafka://localhost:9092")
    with pytest.raises(ConfigError, match="s3://"):
        ingest.connect("s3://bucket")


def test_importing_ingest_loads_no_arrow() -> None:
    import subprocess
    import sys

    code = "import ingest, sys; sys.exit('pyarrow' in sys.modules or not hasattr(ingest, '__version__'))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
