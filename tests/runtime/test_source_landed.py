"""What a source hears about where its records went, what it may add, and its last step when it stops."""

from __future__ import annotations

import threading

import pyarrow as pa
import pytest

from ingest.config import Settings
from ingest.connectors import Polled, Records, SourceConnector, SourceTask, TopicPartition
from ingest.environment import Environment
from ingest.errors import SystemUnavailable
from ingest.failpoints import FailPoints
from ingest.runtime.plan import Plan, Retry, SourcePlan, TopicPlan
from ingest.runtime.worker import Worker


class Mailbox(SourceConnector):
    """Hands over the steps of a list; ``heard`` is what it was told, in order."""

    Settings = Settings

    def __init__(self, steps, last=()):
        self.steps, self.last, self.heard = list(steps), list(last), []
        self.added, self.opened = [], []
        self.empty = threading.Event()

    def tasks(self, most):
        return [MailboxTask(self)]


class MailboxTask(SourceTask):
    def __init__(self, box):
        self.box = box

    def open(self, context, positions):
        self.context = context
        self.box.opened.append(dict(positions))

    def poll(self):
        if self.box.steps:
            return self.box.steps.pop(0)
        self.box.empty.set()
        self.context.wait(20)
        return None

    def appended(self, landed):
        self.box.heard += [
            (place.polled, place.topic, place.partition, place.first, place.count, place.rows.to_pylist())
            for place in landed
        ]
        return self.box.added.pop(0) if self.box.added else {}

    def committed(self, positions):
        self.box.heard.append(dict(positions))

    def drain(self):
        return self.box.last.pop(0) if self.box.last else None

    def close(self):
        return


def records(*texts, topic="t", key=None):
    return Records(value=pa.array(texts, pa.string()), topic=topic, key=key)


def run(world, box, *, topics=None, environment=None):
    """Until all steps are taken, then a clean stop."""
    source = SourcePlan("in", box, "t", retry=Retry(backoff_ms=1, max_backoff_ms=1))
    plan = Plan("p", world.plan(world.System([])).base_folder, topics or {}, [source])
    worker = Worker(world.hub, plan, environment)
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    assert box.empty.wait(20)
    worker.stop()
    thread.join(20)
    assert not thread.is_alive()


@pytest.mark.parametrize("stateless", [False, True])
def test_a_source_hears_the_offsets_and_then_of_the_commit(world, stateless):
    box = Mailbox([Polled([records("a", "b")], stateless=stateless), Polled([records("c")], stateless=stateless)])
    run(world, box)
    step = 2 if stateless else 3  # a transaction's marker takes an offset, too
    assert box.heard == [(0, "t", 0, 0, 2, [0, 1]), {}, (0, "t", 0, step, 1, [0]), {}]
    assert world.values("t") == [b"a", b"b", b"c"]


def test_rows_are_those_of_the_polled_records_whatever_their_partition(world):
    keyed = records("a", "b", "c", "d", key=pa.array(["1", "2", "1", "3"]))
    box = Mailbox([Polled([records("z", topic="u"), keyed])])
    run(world, box, topics={"t": TopicPlan(partitions=3)})
    assert box.heard[0] == (0, "u", 0, 0, 1, [0])
    rows = [row for polled, *_, found in box.heard[1:-1] for row in found if polled == 1]
    assert sorted(rows) == [0, 1, 2, 3]
    for _, topic, partition, first, count, found in box.heard[1:-1]:
        fetched = world.hub.read(topic, partition, first, max_bytes=1000)
        assert fetched.records.value.to_pylist()[:count] == ["abcd"[row].encode() for row in found]


def test_positions_that_depend_on_offsets_commit_with_the_records(world):
    box = Mailbox([Polled([records("a")])])
    box.added = [{"answers": {"offset": 0}}]
    run(world, box)
    assert box.heard[-1] == {"answers": {"offset": 0}}
    again = Mailbox([])
    run(world, again)
    assert again.opened == [{"answers": {"offset": 0}}]


def test_what_was_accepted_before_a_stop_is_stored(world):
    box = Mailbox([Polled([records("a")])], last=[Polled([records("b")]), Polled([records("c")], stateless=True)])
    run(world, box)
    assert world.values("t") == [b"a", b"b", b"c"]
    assert box.heard[-1] == {}


def test_a_stateless_step_too_large_for_a_batch_is_stored_whole_all_the_same(world):
    large = [str(number) * 300 for number in range(1000, 2000)]
    box = Mailbox([Polled([records(*large)], stateless=True)])
    run(world, box, topics={"t": TopicPlan(config={"max.message.bytes": "5000"})})
    assert world.values("t") == [text.encode() for text in large]
    # One marker, which follows the commit, so it was one transaction.
    never = threading.Event()
    for _ in range(3000):
        if world.hub.end_offset("t", 0) == 1001:
            break
        never.wait(0.01)
    assert world.hub.end_offset("t", 0) == 1001


def test_a_failed_step_is_not_told_of(world):
    fail = FailPoints()

    def break_down():
        raise SystemUnavailable("for a moment")

    fail.arm("source.transformed", break_down)
    box = Mailbox([Polled([records("a")], stateless=True), Polled([records("b")], stateless=True)])
    run(world, box, environment=Environment(fail=fail))
    assert [entry for entry in box.heard if entry] == [(0, "t", 0, 0, 1, [0])]
    assert world.values("t") == [b"b"]
    assert world.hub.wait({TopicPartition("t", 0): 0}, 1000)
