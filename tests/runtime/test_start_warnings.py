"""What a run says at its start."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ingest.runtime.plan import SinkPlan
from ingest.runtime.start_warnings import start_warnings
from ingest.runtime.worker import Worker


def warnings(world, plan):
    return list(start_warnings(plan, world.hub))


def with_topics(world, *topics, source=None):
    return world.plan(world.System([]), world.Target(), sink={"topics": topics}, source=source or {"topic": "access"})


def test_a_sink_of_a_topic_that_a_source_writes_is_fine(world):
    assert warnings(world, with_topics(world, "access", "acc*", "p.dead")) == []


def test_a_misspelt_topic_is_told_with_the_likely_one(world):
    assert warnings(world, with_topics(world, "acess")) == [
        "sink out: no topic acess holds records, and no source of this pipeline writes one; did you mean access?"
    ]


def test_a_pattern_that_matches_nothing_is_told(world):
    assert warnings(world, with_topics(world, "orders.*")) == [
        "sink out: no topic like orders.* holds records, and no source of this pipeline writes one"
    ]


def test_a_topic_of_the_hub_counts_once_it_holds_records(world):
    world.hub.create_topic("old")
    assert len(warnings(world, with_topics(world, "old"))) == 1
    world.run(world.plan(world.System(["row"]), source={"topic": "old"}))
    assert warnings(world, with_topics(world, "old", "ol?")) == []


@pytest.mark.parametrize("source", [{"topic": ""}, {"topic": "{schema}.{table}"}])
def test_where_sources_choose_the_topic_nothing_is_told(world, source):
    assert warnings(world, with_topics(world, "anything", source=source)) == []


def test_where_a_transform_chooses_the_topic_nothing_is_told(world):
    class Route(world.Upper):
        pass

    plan = with_topics(world, "anything", source={"topic": "t", "transforms": [Route()]})
    assert warnings(world, plan) == []


def test_a_removed_sink_for_which_records_are_kept_is_told(world):
    plan = world.plan(world.System(["row"]), world.Target())
    world.run(plan)
    renamed = SinkPlan("other", world.TargetSink(world.Target()), ["t"])
    (told,) = warnings(world, replace(plan, sinks=[renamed]))
    assert "keeps records for p.out" in told
    assert "ingest groups delete p.out" in told
    assert warnings(world, plan) == []
    assert warnings(world, replace(plan, pipeline="another", sinks=[])) == []


def test_a_run_tells_them_once(world):
    lines = []
    Worker(world.hub, with_topics(world, "nowhere"), until_caught_up=True, report=lines.append).run()
    assert len(lines) == 1
    assert "nowhere" in lines[0]
