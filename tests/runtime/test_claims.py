"""Ranges of the log bound to runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hubs import abandon, open_hub, records

from ingest.connectors import Commit, TopicPartition
from ingest.errors import Fenced
from ingest.hub.embedded import EmbeddedHub
from ingest.runtime.claims import Claims, OffsetRange

T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[EmbeddedHub]:
    hub = open_hub(tmp_path / "data")
    hub.create_topic("t", partitions=2)
    yield hub
    hub.close()


def test_claims_of_successive_runs_follow_each_other_without_a_gap(hub: EmbeddedHub) -> None:
    claims = Claims(hub, "p")
    first = claims.take("monday", {"lake": {T0: 10, T1: 3}})
    second = claims.take("tuesday", {"lake": {T0: 25, T1: 3}})
    assert first.sinks == {"lake": {T0: OffsetRange(0, 10), T1: OffsetRange(0, 3)}}
    assert second.sinks == {"lake": {T0: OffsetRange(10, 25), T1: OffsetRange(3, 3)}}


def test_a_claim_is_found_again_by_its_run_after_the_process_has_died(tmp_path: Path) -> None:
    hub = open_hub(tmp_path / "data")
    hub.create_topic("t")
    taken = Claims(hub, "p").take("monday", {"lake": {T0: 10}})
    abandon(hub)
    hub = open_hub(tmp_path / "data")
    assert Claims(hub, "p").of("monday") == taken
    assert Claims(hub, "p").of("tuesday") is None
    hub.close()


def test_two_sinks_claim_apart(hub: EmbeddedHub) -> None:
    claims = Claims(hub, "p")
    claims.take("monday", {"lake": {T0: 10}})
    later = claims.take("tuesday", {"lake": {T0: 12}, "table": {T0: 12}})
    assert later.sinks == {"lake": {T0: OffsetRange(10, 12)}, "table": {T0: OffsetRange(0, 12)}}


def test_a_sink_that_ran_without_claims_is_claimed_from_where_it_stands(hub: EmbeddedHub) -> None:
    hub.append(records(*"abcdefgh"), 0).result()
    hub.commit_group("p.lake", {T0: 5})
    assert Claims(hub, "p").take("monday", {"lake": {T0: 8}}).sinks["lake"][T0] == OffsetRange(5, 8)


def test_a_topic_that_was_made_anew_is_claimed_from_its_start(hub: EmbeddedHub) -> None:
    claims = Claims(hub, "p")
    claims.take("monday", {"lake": {T0: 10}})
    hub.delete_topic("t")
    hub.create_topic("t")
    assert claims.take("tuesday", {"lake": {T0: 4}}).sinks["lake"][T0] == OffsetRange(0, 4)


def test_what_is_unfinished_comes_in_the_order_of_the_claims(hub: EmbeddedHub) -> None:
    claims = Claims(hub, "p")
    taken = [claims.take(run, {"lake": {T0: end}}) for run, end in [("z", 5), ("a", 9), ("m", 12)]]
    assert claims.unfinished(taken[2]) == taken
    claims.finish(taken[0])
    assert claims.unfinished(taken[2]) == taken[1:]
    assert claims.unfinished(taken[1]) == [taken[1]], "what was claimed later is somebody else's"


def test_a_commit_is_noted_once_with_the_claim_that_it_belongs_to(hub: EmbeddedHub) -> None:
    claims = Claims(hub, "p")
    first = claims.take("monday", {"lake": {T0: 10}})
    second = claims.take("tuesday", {"lake": {T0: 20}})
    commit = Commit(1, {T0: 10, T1: 0}, rows=10, files=1, size_bytes=99, paths=("a.parquet",))
    for _ in range(2):
        claims.note(first, "lake", commit)
        claims.note(second, "lake", commit)
    assert [(noted.number, noted.rows, noted.paths) for noted in claims.commits(first)] == [(1, 10, ("a.parquet",))]
    assert claims.commits(first)[0].offsets == {T0: 10, T1: 0}
    assert claims.commits(second) == []


def test_a_newer_run_of_the_pipeline_shuts_out_the_older_one(hub: EmbeddedHub) -> None:
    older = Claims(hub, "p")
    newer = Claims(hub, "p")
    newer.take("tuesday", {"lake": {T0: 10}})
    with pytest.raises(Fenced):
        older.take("monday", {"lake": {T0: 10}})


def test_pipelines_on_one_hub_do_not_meet(hub: EmbeddedHub) -> None:
    Claims(hub, "p").take("monday", {"lake": {T0: 10}})
    other = Claims(hub, "q").take("monday", {"lake": {T0: 10}})
    assert (other.number, other.sinks["lake"][T0]) == (1, OffsetRange(0, 10))
