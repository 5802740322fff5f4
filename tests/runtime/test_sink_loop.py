"""From the hub into a target: once, from where the target stands, with its dead letters."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pyarrow as pa
import pytest

from ingest.connectors import Commit, Records, Rejected, Standing, TopicPartition, Transformed
from ingest.errors import ConnectorError, IdentityMismatch, PositionLost, RecordRefused, SinkFenced, SystemUnavailable
from ingest.hub.embedded import EmbeddedHub
from ingest.runtime.plan import ErrorPolicy, Retry, TopicPlan

T0 = TopicPartition("t", 0)
NO_PAUSE = Retry(backoff_ms=1, max_backoff_ms=1)
LINES = {"t": TopicPlan(format="lines")}
SINK_STEPS = ["sink.read", "sink.put", "sink.flushed", "sink.dead-letters", "sink.reported"]


def texts(count, first=0):
    return [f"row {number}" for number in range(first, first + count)]


def fill(world, rows, topic="t"):
    assert world.run(world.plan(world.System(rows), pipeline=f"fill {topic}", source={"topic": topic})).state == "done"


def test_everything_is_put_and_committed_once(world):
    fill(world, texts(10))
    target = world.Target()
    assert world.run(world.plan(None, target)).state == "done"
    assert target.rows == texts(10)
    assert target.standing.last.offsets[T0] >= 10
    assert world.hub.group_offsets("p.out") == target.standing.last.offsets


@pytest.mark.parametrize(
    ("sink_reads", "transform_reads", "delivered"), [(True, False, True), (False, True, True), (False, False, False)]
)
def test_headers_are_delivered_unless_nobody_reads_them(world, sink_reads, transform_reads, delivered):
    tagged = Records(topic="t", value=pa.array(["row"]), common_headers=(("h", b"1"),))
    world.hub.create_topic("t")
    world.hub.append(tagged, 0).result(60)
    sink, transform = world.TargetSink(target := world.Target()), world.Upper()
    sink.reads_headers, transform.reads_headers = sink_reads, transform_reads
    world.run(world.plan(None, target, sink={"connector": sink, "transforms": [transform]}, topics=LINES))
    assert target.rows == ["ROW"]
    assert target.headers == ([[{"key": "h", "value": b"1"}]] if delivered else [])


def test_markers_after_the_last_record_are_no_reason_for_a_commit(world):
    fill(world, texts(10))
    target = world.Target()
    for _ in range(3):
        world.run(world.plan(None, target))
    assert len(target.numbers) == 1


def test_offsets_of_deliveries_run_over_markers_without_a_gap(world):
    fill(world, texts(10))
    fill(world, texts(20))
    target = world.Target()
    world.run(world.plan(None, target))
    starts = [start for _, _, start, _ in target.deliveries]
    ends = [end for _, _, _, end in target.deliveries]
    assert starts == [0, *ends[:-1]]


def test_a_second_run_adds_only_what_is_new(world):
    fill(world, texts(10))
    target = world.Target()
    world.run(world.plan(None, target))
    world.run(world.plan(None, target))
    assert target.rows == texts(10)
    fill(world, [*texts(10), "more"])
    world.run(world.plan(None, target))
    assert target.rows == [*texts(10), "more"]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("name", SINK_STEPS)
def test_a_crash_at_any_step_neither_loses_nor_doubles(world, name, count):
    rows = ["!bad" if number % 5 == 3 else f"row {number}" for number in range(20)]
    fill(world, rows)
    target = world.Target(refuse=lambda value: value == "ROW 6")
    plan = world.plan(None, target, sink={"transforms": [world.Upper()]})
    crashed = world.run(plan, world.crash_at(name, count))
    if isinstance(crashed.error, world.Crash):
        fill(world, [*rows, "late"])
        assert world.run(plan).state == "done"
    else:
        fill(world, [*rows, "late"])
        crashed = world.run(plan, world.crash_at(name))
        assert isinstance(crashed.error, world.Crash)
        assert world.run(plan).state == "done"
    assert target.rows == [row.upper() for row in [*rows, "late"] if row not in ("!bad", "row 6")]
    letters = sorted((headers["stage"], value) for value, headers in world.dead())
    assert letters == [("upper", b"!bad")] * 4 + [("write", b"row 6")]
    assert target.numbers == list(range(1, len(target.numbers) + 1))


def test_a_passing_failure_reopens_the_sink_where_its_target_stands(world):
    fill(world, texts(10))
    target = world.Target(faults={"flush": [SystemUnavailable("busy")], "open": [SystemUnavailable("away")]})
    outcome = world.run(world.plan(None, target, sink={"retry": NO_PAUSE}))
    assert outcome.state == "done"
    assert (target.opened, target.closed) == (3, 3)
    assert target.rows == texts(10)


def test_a_failure_after_the_target_has_committed_doubles_nothing(world):
    fill(world, texts(10))
    target = world.Target(faults={"flushed": [SystemUnavailable("the answer was lost")]}, refuse=lambda v: v == "row 4")
    assert world.run(world.plan(None, target, sink={"retry": NO_PAUSE})).state == "done"
    assert target.rows == [text for text in texts(10) if text != "row 4"]
    assert [value for value, _ in world.dead()] == [b"row 4"]


# -- where it stands


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"hub_id": "another"}, IdentityMismatch, "written from the hub another"),
        ({"topic_ids": {"t": "another"}}, IdentityMismatch, "another topic t"),
        ({"epoch": 1000}, SinkFenced, "run 1000"),
        ({"last": Commit(1, {T0: 10_000})}, IdentityMismatch, "stands at offset 10000 of t-0, and the log ends at"),
    ],
)
def test_a_target_that_does_not_belong_here_stops_the_sink(world, change, error, message):
    fill(world, texts(10))
    target = world.Target()
    world.run(world.plan(None, target))
    target.standing = replace(target.standing, **change)
    outcome = world.run(world.plan(None, target))
    assert isinstance(outcome.error, error)
    assert message in str(outcome.error)
    assert outcome.error.hint
    assert target.rows == texts(10)


def test_a_sink_whose_records_are_gone_says_how_many(world):
    fill(world, texts(10))
    target = world.Target(standing=Standing(Commit(1, {T0: 2}), world.hub.id, {"t": world.hub.topic("t").id}, 0))
    world.hub.delete_records("t", 0, 7)
    outcome = world.run(world.plan(None, target))
    assert isinstance(outcome.error, PositionLost)
    assert "5 records are gone" in str(outcome.error)


def test_a_new_sink_starts_at_the_first_record_that_is_left(world):
    fill(world, texts(10))
    world.hub.delete_records("t", 0, 6)
    target = world.Target()
    assert world.run(world.plan(None, target)).state == "done"
    assert target.rows[-1] == "row 9"
    assert len(target.rows) < 10


def test_a_topic_that_was_deleted_and_made_anew_stops_the_sink(world):
    fill(world, texts(10))
    target = world.Target()
    world.run(world.plan(None, target))
    world.hub.delete_topic("t")
    world.hub.create_topic("t")
    outcome = world.run(world.plan(None, target))
    assert isinstance(outcome.error, IdentityMismatch)


def test_a_target_that_remembers_nothing_starts_at_the_groups_offsets(world):
    fill(world, texts(10))
    target = world.Target(remembers=False)
    world.run(world.plan(None, target))
    assert target.rows == texts(10)
    target.rows = []
    world.run(world.plan(None, target))
    assert target.rows == []


def test_a_sink_that_skips_a_commit_number_is_stopped(world):
    fill(world, texts(10))
    target = world.Target()
    world.run(world.plan(None, target))
    target.standing = replace(target.standing, last=Commit(7, {T0: 0}))

    class Miscounting(world.TargetSink):
        def task(self):
            task = super().task()
            original = task.open

            def opened(context):
                standing = original(context)
                task.number += 1
                return standing

            task.open = opened
            return task

    outcome = world.run(world.plan(None, target, sink={"connector": Miscounting(target)}))
    assert isinstance(outcome.error, ConnectorError)
    assert "commit 9 after commit 7" in str(outcome.error)


# -- dead letters


def test_dead_letters_of_a_sink_name_where_the_record_is(world):
    fill(world, ["a", "!b"])
    world.run(world.plan(None, world.Target(), sink={"transforms": [world.Upper()]}))
    ((value, headers),) = world.dead()
    assert value == b"!b"
    assert headers == {
        "pipeline": "p",
        "sink": "out",
        "stage": "upper",
        "class": "Shouting",
        "reason": "it shouts",
        "topic": "t",
        "partition": "0",
        "offset": "1",
        "row": "0",
    }


def test_without_tolerance_the_sink_stops_before_it_writes(world):
    fill(world, ["a", "!b"])
    target = world.Target()
    plan = world.plan(None, target, sink={"transforms": [world.Upper()]}, errors=ErrorPolicy(tolerance="none"))
    outcome = world.run(plan)
    assert isinstance(outcome.error, RecordRefused)
    assert "t-0 offset 1: upper: it shouts" in str(outcome.error)
    assert target.rows == []


def test_a_target_that_starts_over_has_its_dead_letters_appended_again(world):
    fill(world, ["a", "!b"])
    plan = world.plan(None, world.Target(), sink={"transforms": [world.Upper()]})
    world.run(plan)
    fresh = world.plan(None, world.Target(), sink={"transforms": [world.Upper()]})
    crashed = world.run(fresh, world.crash_at("sink.flushed"))
    assert isinstance(crashed.error, world.Crash)
    world.run(fresh)
    assert [value for value, _ in world.dead()] == [b"!b", b"!b"]


def test_records_whose_topic_is_gone_are_dead_letters_without_bytes(world):
    fill(world, ["a", "!b"])
    plan = world.plan(None, world.Target(), sink={"transforms": [world.Upper()]})
    world.run(plan, world.crash_at("sink.flushed"))
    world.hub.delete_topic("t")
    assert world.run(plan).state == "done"
    assert [(value, headers["reason"]) for value, headers in world.dead()] == [(None, "it shouts")]


@pytest.mark.parametrize("format_", ["json", "arrow"])
def test_of_records_that_hold_many_rows_only_the_refused_row_is_dead(world, format_):
    rows = [{"a": number, "b": "x" * 10} for number in range(1000)]
    fill_rows(world, rows, format_)
    target = world.Target(refuse=lambda row: row["a"] in (17, 500, 501))
    assert world.run(world.plan(None, target)).state == "done"
    assert [row["a"] for row in target.rows] == [n for n in range(1000) if n not in (17, 500, 501)]
    assert [json.loads(value)["a"] for value, _ in world.dead()] == [17, 500, 501]


def fill_rows(world, rows, format_, per_poll=400):
    system = world.System(rows, per_poll=per_poll)
    assert world.run(world.plan(system, topics={"t": TopicPlan(format=format_)})).state == "done"


def test_all_rows_of_one_offset_come_in_one_delivery(world):
    rows = [{"a": number} for number in range(1000)]
    fill_rows(world, rows, "arrow")
    target = world.Target()
    world.run(world.plan(None, target))
    assert [row["a"] for row in target.rows] == list(range(1000))
    ends = [end for _, _, _, end in target.deliveries]
    assert all(start < end for _, _, start, end in target.deliveries)
    assert len(ends) == len(set(ends))


def test_bytes_that_are_not_in_the_topics_format_are_dead_letters(world):
    fill_rows(world, [{"a": 1}, {"a": 2}], "json")
    world.hub.append(Records(topic="t", value=pa.array([b"{oops", b'{"a": 3}'])), 0).result()
    target = world.Target()
    outcome = world.run(world.plan(None, target))
    assert (outcome.state, outcome.dead_letters) == ("done", 1)
    assert [row["a"] for row in target.rows] == [1, 2, 3]
    assert [(value, headers["stage"]) for value, headers in world.dead()] == [(b"{oops", "decode")]


def test_a_json_topic_that_strangers_fill_gets_its_schema_from_the_values(world):
    world.hub.create_topic("t")
    values = [b'{"a": 1}', b'{"a": 2.5, "b": "x"}', b'{"a": "no number"}']
    world.hub.append(Records(topic="t", value=pa.array(values)), 0).result()
    target = world.Target()
    outcome = world.run(world.plan(None, target, topics={"t": TopicPlan(format="json")}))
    assert (outcome.state, outcome.dead_letters) == ("done", 1)
    assert target.rows == [{"a": 1.0, "b": None}, {"a": 2.5, "b": "x"}]
    world.hub.append(Records(topic="t", value=pa.array([b'{"c": true}'])), 0).result()
    world.run(world.plan(None, target))
    assert target.rows[2:] == [{"a": None, "b": None, "c": True}]


def test_a_topic_that_nobody_declared_holds_bytes(world):
    world.hub.create_topic("t")
    world.hub.append(Records(topic="t", value=pa.array([b"\xff", None])), 0).result()
    target = world.Target()
    world.run(world.plan(None, target))
    assert target.rows == [b"\xff", None]


# -- which topics


def test_a_pattern_means_every_topic_it_fits_but_neither_the_hubs_own_nor_the_dead_letters(world):
    for topic in ("access.a", "access.b", "other"):
        fill(world, [topic], topic=topic)
    plan = world.plan(world.System(["!x"]), source={"transforms": [world.Upper()], "topic": "access.a"})
    world.run(replace(plan, errors=ErrorPolicy(topic="access.dead")))
    target = world.Target()
    world.run(world.plan(None, target, sink={"topics": ["access.*", "*"]}, errors=ErrorPolicy(topic="access.dead")))
    assert sorted(target.rows) == ["access.a", "access.b", "other"]


def test_the_dead_letter_topic_is_read_where_it_is_named(world):
    world.run(world.plan(world.System(["!x"]), source={"transforms": [world.Upper()]}))
    target = world.Target()
    world.run(world.plan(None, target, sink={"topics": ["p.dead"]}))
    assert target.rows == [b"!x"]


def test_partitions_take_turns(world):
    rows = [f"{number:05}" + "x" * 5000 for number in range(3000)]
    system = world.System(rows, per_poll=500, keys=lambda rows: pa.array([row[:5].encode() for row in rows]))
    world.run(world.plan(system, topics={"t": TopicPlan(partitions=2)}))
    target = world.Target()
    world.run(world.plan(None, target))
    assert sorted(target.rows) == rows
    assert [partition for _, partition, _, _ in target.deliveries][:4] in ([0, 1, 0, 1], [1, 0, 1, 0])


def test_a_new_partition_is_read_from_its_start(world):
    fill(world, texts(3))
    target = world.Target()
    world.run(world.plan(None, target))
    world.hub.alter_topic("t", partitions=3)
    world.hub.append(Records(topic="t", value=pa.array([b"new"])), 2).result()
    world.run(world.plan(None, target))
    assert target.rows == [*texts(3), "new"]


def test_progress_of_the_sink_is_told(world):
    fill(world, texts(10))
    target = world.Target()
    from ingest.runtime.worker import Worker

    worker = Worker(world.hub, world.plan(None, target), until_caught_up=True)
    worker.run()
    (status,) = worker.status()["tasks"]
    assert (status["task"], status["state"], status["records"]) == ("sink out", "done", 10)
    assert (status["lag_records"], status["lag_ms"]) == (0, 0)
    assert status["commits"] >= 1


def test_the_hub_of_another_folder_is_another_hub(world, tmp_path):
    fill(world, texts(10))
    target = world.Target()
    world.run(world.plan(None, target))
    other = EmbeddedHub.open(tmp_path / "other")
    try:
        outcome = world.run(world.plan(world.System(texts(20)), target), hub=other)
    finally:
        other.close()
    assert isinstance(outcome.error, IdentityMismatch)
    assert target.rows == texts(10)


def test_dead_letters_that_fill_memory_make_a_commit_due(world, monkeypatch):
    from ingest.runtime import delivery_reader, sink_loop

    monkeypatch.setattr(sink_loop, "MAX_HELD_BYTES", 3_000)
    monkeypatch.setattr(delivery_reader, "READ_BYTES", 1)  # a batch of the source at a time
    fill(world, [f"!{number}" for number in range(30)])
    target = world.Target(commit_every=1000)
    world.run(world.plan(None, target, sink={"transforms": [world.Upper()]}))
    assert len(target.numbers) == 3
    assert len(world.dead()) == 30


def test_a_reason_that_quotes_a_whole_value_is_cut(world):
    class Wordy(world.Upper):
        def apply(self, records, state):
            rejected = Rejected(pa.array([0], pa.int64()), ["no: " + "x" * 100_000], "Wordy")
            return Transformed([records.slice(1)], [rejected])

    fill(world, ["a"])
    world.run(world.plan(None, world.Target(), sink={"transforms": [Wordy()]}))
    ((_, headers),) = world.dead()
    assert headers["reason"].startswith("no: xxx")
    assert len(headers["reason"]) == 2_000


# -- topics that go, and commits in parts


def test_a_topic_that_is_deleted_does_not_stop_the_sink_of_others(world):
    fill(world, texts(3), topic="gone")
    fill(world, texts(10))
    target = world.Target()
    plan = world.plan(None, target, sink={"topics": ["gone", "t"]})
    assert world.run(plan).state == "done"
    world.hub.delete_topic("gone")
    fill(world, [*texts(10), "more"])
    outcome = world.run(plan)
    assert (outcome.state, outcome.error) == ("done", None)
    assert target.rows[-1] == "more"
    assert world.hub.group_offsets("p.out")[T0] == target.standing.last.offsets[T0]


def test_a_run_is_done_only_when_a_sink_that_commits_in_parts_has_committed_all(world):
    fill(world, texts(10))
    target = world.Target(commit_every=1_000)

    class InParts(world.TargetSink):
        """Its target takes three rows at a time."""

        def task(self):
            task = super().task()
            whole = task.flush

            def flush(force=False):
                if not force:
                    return None
                task.pending, rest = task.pending[:3], task.pending[3:]
                commit = whole(force)
                task.pending, task.puts = rest, len(rest)
                return commit

            task.flush = flush
            return task

    assert world.run(world.plan(None, target, sink={"connector": InParts(target)})).state == "done"
    assert target.rows == texts(10)


def test_a_topic_that_comes_late_and_holds_no_record_does_not_keep_a_run_from_its_end(world):
    fill(world, texts(3))

    def emptied(rows):
        """A topic appears once the sink is open, and its records are deleted before it looks."""
        while "p/sink/out" not in world.hub.retention_holds():
            threading.Event().wait(0.01)
        world.hub.create_topic("late")
        world.hub.append(Records(topic="late", value=pa.array(["a", "b"])), 0).result(60)
        world.hub.delete_records("late", 0, 2)

    target = world.Target()
    plan = world.plan(world.System(["row"], timestamps=emptied), target, sink={"topics": ["t", "late"]})
    outcomes = []
    running = threading.Thread(target=lambda: outcomes.append(world.run(plan)), daemon=True)
    running.start()
    running.join(60)
    assert [outcome.state for outcome in outcomes] == ["done"]
