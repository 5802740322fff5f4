"""From a source into the hub: once, in order, with its position, whatever happens."""

from __future__ import annotations

import errno
import json
import threading
from dataclasses import replace

import pyarrow as pa
import pytest

from ingest.clock import SystemClock
from ingest.connectors import TIMESTAMP, TopicPartition
from ingest.disk import SystemDisk
from ingest.environment import Environment
from ingest.errors import ConnectorError, RecordRefused, SchemaClash, SystemUnavailable
from ingest.failpoints import FailPoints
from ingest.hub.embedded import EmbeddedHub
from ingest.runtime.plan import ErrorPolicy, Retry, TopicPlan
from ingest.runtime.worker import Worker
from ingest.wire.keys import partition_of

HOUR_MS = 3_600_000
NO_PAUSE = Retry(backoff_ms=1, max_backoff_ms=1)


def texts(count):
    return [f"row {number}" for number in range(count)]


def test_rows_arrive_once_and_in_order_and_the_position_with_them(world):
    outcome = world.run(world.plan(world.System(texts(10))))
    assert (outcome.state, outcome.records) == ("done", 10)
    assert world.values("t") == [text.encode() for text in texts(10)]
    assert world.hub.positions("p/in") == {"list": {"position": {"next": 10}, "transforms": []}}


def test_the_source_is_told_after_each_commit_in_order(world):
    system = world.System(texts(10))
    world.run(world.plan(system))
    assert system.told == [3, 6, 9, 10]


def test_an_empty_source_leaves_nothing(world):
    outcome = world.run(world.plan(world.System([])))
    assert (outcome.state, outcome.records) == ("done", 0)
    assert world.values("t") == []


def test_a_second_run_goes_on_where_the_first_ended(world):
    system = world.System(texts(10))
    world.run(world.plan(system))
    system.rows += ["more"]
    world.run(world.plan(system))
    assert system.opened == [0, 10]
    assert world.values("t") == [text.encode() for text in [*texts(10), "more"]]


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("name", ["source.polled", "source.transformed", "source.appended", "source.committed"])
def test_a_crash_at_any_step_neither_loses_nor_doubles(world, name, count):
    system = world.System(["!bad" if number % 4 == 2 else f"row {number}" for number in range(12)])
    plan = world.plan(system, source={"transforms": [world.Upper(), world.Numbered()]})
    crashed = world.run(plan, world.crash_at(name, count))
    assert isinstance(crashed.error, world.Crash)
    assert world.run(plan).state == "done"
    good = [row.upper() for row in system.rows if row != "!bad"]
    assert world.values("t") == [f"{number}:{row}".encode() for number, row in enumerate(good)]
    assert [headers["position"] for _, headers in world.dead()] == ["2", "6", "10"]


# -- failures that pass, and those that do not


def test_a_passing_failure_reopens_the_source_at_its_committed_position(world):
    system = world.System(texts(10), faults={6: [SystemUnavailable("busy"), SystemUnavailable("busy")]})
    outcome = world.run(world.plan(system, source={"retry": NO_PAUSE}))
    assert outcome.state == "done"
    assert system.opened == [0, 6, 6]
    assert system.closed == 3
    assert world.values("t") == [text.encode() for text in texts(10)]


def test_any_other_failure_stops_the_pipeline_and_keeps_what_was_committed(world):
    failure = ConnectorError("the table is gone")
    outcome = world.run(world.plan(world.System(texts(10), faults={6: [failure]})))
    assert (outcome.state, outcome.error, outcome.task, outcome.exit_code) == ("failed", failure, "source in", 1)
    assert world.values("t") == [text.encode() for text in texts(6)]


class FullForAWhile(SystemDisk):
    """Refuses every sync of a topic's files while ``refusals`` last."""

    def __init__(self, refusals):
        self.refusals = refusals

    def sync(self, fd, path):
        if "t-0" in str(path) and self.refusals:
            self.refusals -= 1
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        super().sync(fd, path)


def test_a_full_hub_slows_the_source_and_drops_nothing(world, tmp_path):
    disk = FullForAWhile(0)
    hub = EmbeddedHub.open(tmp_path / "full", Environment(disk=disk, fail=FailPoints()))
    retry = Retry(budget=1, backoff_ms=1, max_backoff_ms=20)
    worker = Worker(hub, world.plan(world.System(texts(9)), source={"retry": retry}))
    thread = threading.Thread(target=worker.run, daemon=True)
    try:
        hub.create_topic("t")
        disk.refusals = 30
        thread.start()
        values = []
        while len(values) < 9:
            # What was aborted takes offsets, too.
            assert hub.wait({TopicPartition("t", 0): hub.end_offset("t", 0)}, 20_000)
            values = replace(world, hub=hub).values("t")
    finally:
        worker.stop()
        thread.join(20)
        hub.close()
    assert values == [text.encode() for text in texts(9)]
    assert disk.refusals == 0


# -- dead letters


def test_a_refused_row_is_a_dead_letter_in_its_own_bytes_and_its_neighbours_go_on(world):
    plan = world.plan(world.System(["a", "!b", "-c", "d"]), source={"transforms": [world.Upper()]})
    outcome = world.run(plan)
    assert (outcome.state, outcome.dead_letters) == ("done", 1)
    assert world.values("t") == [b"A", b"D"]
    expected = {
        "pipeline": "p",
        "source": "in",
        "stage": "upper",
        "class": "Shouting",
        "reason": "it shouts",
        "file": "the-list",
        "position": "1",
    }
    assert world.dead() == [(b"!b", expected)]


def test_what_the_source_itself_refuses_is_a_dead_letter(world):
    world.run(world.plan(world.System(texts(4), refuse={2})))
    assert world.values("t") == [b"row 0", b"row 1", b"row 3"]
    assert [(value, headers["reason"]) for value, headers in world.dead()] == [(b"row 2", "not wanted")]


def test_without_tolerance_the_task_stops_and_names_the_place(world):
    plan = world.plan(
        world.System(["a", "b", "c", "!d"]),
        source={"transforms": [world.Upper()]},
        errors=ErrorPolicy(tolerance="none"),
    )
    outcome = world.run(plan)
    assert isinstance(outcome.error, RecordRefused)
    assert outcome.task == "source in"
    assert outcome.error.message == "the-list at 3: upper: it shouts"
    assert world.values("t") == [b"A", b"B", b"C"]
    assert world.dead() == []


def test_a_record_above_the_topics_limit_is_a_dead_letter_that_fits(world):
    large = "x" * 3000
    plan = world.plan(
        world.System(["a", large, "b"]),
        topics={"t": TopicPlan(config={"max.message.bytes": "2500"})},
    )
    assert world.run(plan).dead_letters == 1
    assert world.values("t") == [b"a", b"b"]
    assert [value for value, _ in world.dead()] == [large.encode()]


def test_a_dead_letter_above_the_dead_letter_topics_limit_raises_that_limit(world):
    large = "!" + "x" * 2_000_000
    plan = world.plan(world.System(["a", large, "b"]), source={"transforms": [world.Upper()]})
    assert world.run(plan).state == "done"
    assert [value for value, _ in world.dead()] == [large.encode()]


def test_a_record_that_is_too_large_because_of_its_key_is_a_dead_letter(world):
    system = world.System(["a", "b"], keys=lambda rows: pa.array([b"k" * (5000 if row == "b" else 1) for row in rows]))
    plan = world.plan(system, topics={"t": TopicPlan(config={"max.message.bytes": "4000"})})
    assert world.run(plan).dead_letters == 1
    assert world.values("t") == [b"a"]
    assert [(value, headers["class"]) for value, headers in world.dead()] == [(b"b", "TooLarge")]


@pytest.mark.parametrize("topic", ["no/such/name", "..", "_ingest_positions"])
def test_a_record_for_a_topic_that_cannot_be_is_a_dead_letter(world, topic):
    outcome = world.run(world.plan(world.System(["a"], topic=topic)))
    assert (outcome.state, outcome.dead_letters) == ("done", 1), outcome.error
    assert [headers["class"] for _, headers in world.dead()] == ["TopicInvalid"]


# -- where records go, and what they hold


def test_records_with_keys_go_where_kafkas_partitioner_sends_them(world):
    rows = texts(50)
    system = world.System(rows, per_poll=20, keys=lambda rows: pa.array([row.encode() for row in rows]))
    world.run(world.plan(system, topics={"t": TopicPlan(partitions=4)}))
    found = {value: records.partition for records in world.records("t") for value in records.value.to_pylist()}
    keys = pa.array([row.encode() for row in rows])
    assert [found[row.encode()] for row in rows] == list(partition_of(keys, 4))
    assert len(set(found.values())) == 4


def test_records_of_one_stream_without_keys_stay_together_and_in_order(world):
    world.run(world.plan(world.System(texts(50)), topics={"t": TopicPlan(partitions=4)}))
    assert len({records.partition for records in world.records("t")}) == 1
    assert world.values("t") == [text.encode() for text in texts(50)]


def test_a_key_expression_is_evaluated_after_the_transforms(world):
    system = world.System([{"a": number % 3, "b": f"b{number}"} for number in range(9)])
    world.run(world.plan(system, source={"key": "concat('k', a)"}, topics={"t": TopicPlan(format="json")}))
    assert [key for records in world.records("t") for key in records.key.to_pylist()] == [b"k0", b"k1", b"k2"] * 3


class StandingClock(SystemClock):
    """Waits take their time, and yet it is always the same moment."""

    ms = 1_700_000_000_000

    def now_ms(self):
        return self.ms


def test_times_too_far_ahead_or_missing_become_the_arrival(world):
    clock = StandingClock()
    stamps = [clock.ms - 365 * 24 * HOUR_MS, clock.ms + HOUR_MS, clock.ms + HOUR_MS + 1, None]
    system = world.System(texts(4), per_poll=4, timestamps=lambda rows: pa.array(stamps, pa.int64()).cast(TIMESTAMP))
    world.run(world.plan(system), Environment(clock=clock, fail=FailPoints()))
    (records,) = world.records("t")
    assert records.timestamp.cast(pa.int64()).to_pylist() == [stamps[0], stamps[1], clock.ms, clock.ms]


@pytest.mark.parametrize(
    ("rows", "type_", "expected"),
    [(["a"], pa.string(), "lines"), ([b"a"], pa.binary(), "bytes"), ([{"a": 1}], None, "json")],
)
def test_a_topics_format_follows_its_first_values_unless_told(world, rows, type_, expected):
    world.run(world.plan(world.System(rows, value_type=type_)))
    assert formats(world).get("t").format == expected


def test_a_topic_of_another_format_than_the_pipeline_says_stops_it(world):
    world.run(world.plan(world.System(["a"])))
    outcome = world.run(world.plan(world.System(["a"]), topics={"t": TopicPlan(format="json")}))
    assert (outcome.state, outcome.exit_code) == ("failed", 1)
    assert "t holds lines, and the pipeline says json" in str(outcome.error)


# -- schemas


def test_new_columns_widen_the_topics_schema(world):
    system = world.System([{"a": 1}, {"a": 2, "b": "x"}, {"a": 2.5}], per_poll=1)
    assert world.run(world.plan(system, topics={"t": TopicPlan(format="json")})).dead_letters == 0
    assert formats(world).get("t").schema == pa.schema({"a": pa.float64(), "b": pa.string()})
    assert [json.loads(value)["a"] for value in world.values("t")] == [1, 2, 2.5]


def test_a_frozen_schema_stops_the_task_before_a_record_is_written(world):
    topics = {"t": TopicPlan(format="json", contract="freeze")}
    outcome = world.run(world.plan(world.System([{"a": 1}, {"a": 2, "b": "x"}], per_poll=1), topics=topics))
    assert isinstance(outcome.error, SchemaClash)
    assert "b" in str(outcome.error)
    assert len(world.values("t")) == 1


def test_under_the_dead_letter_contract_rows_that_differ_are_dead_letters(world):
    topics = {"t": TopicPlan(format="json", contract="dead-letter")}
    system = world.System([{"a": 1}, {"a": 2, "b": "x"}, {"a": 3, "b": None}], per_poll=1)
    outcome = world.run(world.plan(system, topics=topics))
    assert (outcome.state, outcome.dead_letters) == ("done", 1)
    assert [json.loads(value)["a"] for value in world.values("t")] == [1, 3]
    assert [json.loads(value) for value, _ in world.dead()] == [{"a": 2, "b": "x"}]


@pytest.mark.parametrize("format_", ["json", "arrow"])
def test_a_clash_that_no_type_holds_is_a_dead_letter(world, format_):
    system = world.System([{"a": 1}, {"a": "x"}, {"a": 3}], per_poll=1)
    outcome = world.run(world.plan(system, topics={"t": TopicPlan(format=format_)}))
    assert (outcome.state, outcome.dead_letters) == ("done", 1)
    assert [json.loads(value) for value, _ in world.dead()] == [{"a": "x"}]


def formats(world):
    from ingest.hub.topic_formats import TopicFormats

    return TopicFormats(world.hub)


def test_a_batch_of_which_every_key_fails_goes_to_the_dead_letters_whole(world):
    rows = [{"a": "x"}, {"a": "y"}]
    system = world.System(rows, timestamps=lambda rows: pa.array([0] * len(rows), pa.int64()).cast(TIMESTAMP))
    outcome = world.run(world.plan(system, source={"key": "cast(a as int)"}))
    assert (outcome.state, outcome.error, outcome.dead_letters) == ("done", None, 2)
    assert [json.loads(value) for value, _ in world.dead()] == rows
