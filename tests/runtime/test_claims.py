"""Ranges of the log bound to runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hubs import abandon, open_hub, records

from ingest.connectors import Commit, TopicPartition
from ingest.errors import Fenced
from ingest.hub.embedded import EmbeddedHub
from ingest.runtime.claim_records import OffsetRange, Totals
from ingest.runtime.claims import PAGE, Claims

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


def test_a_finished_claim_keeps_its_ranges_and_sums_up_its_commits(hub: EmbeddedHub) -> None:
    claims = Claims(hub, "p")
    taken = claims.take("monday", {"lake": {T0: 10}, "idle": {T0: 10}})
    claims.note(taken, "lake", Commit(4, {T0: 6}, rows=6, files=1, size_bytes=60))
    claims.note(taken, "lake", Commit(5, {T0: 10}, rows=3, files=2, size_bytes=40))
    claims.finish(taken)
    found = claims.of("monday")
    assert found is not None
    assert (found.done, found.sinks) == (True, taken.sinks)
    assert found.totals == {"lake": Totals(9, 3, 100, 0, 4, 5), "idle": Totals()}


def test_finished_claims_share_records_so_that_a_hub_of_many_opens_fast(hub: EmbeddedHub) -> None:
    claims = Claims(hub, "p")
    for number in range(2 * PAGE):
        taken = claims.take(f"run {number}", {"lake": {T0: number}})
        claims.note(taken, "lake", Commit(number + 1, {T0: number}))
        claims.finish(taken)
    streams = [stream for owner in hub.position_owners() for stream in hub.positions(owner)]
    assert sorted(streams) == ["done/0", "done/1", "done/2", "head"]
    assert all(claims.of(f"run {number}") is not None for number in range(2 * PAGE))


@pytest.mark.slow
def test_a_hub_that_is_only_ever_opened_for_seconds_does_not_grow_with_its_runs(tmp_path: Path) -> None:
    """Without being tidied it has 13 MB here."""
    ends = {TopicPartition("wide", partition): 0 for partition in range(40)}
    for day in range(6):
        hub = open_hub(tmp_path / "data")
        if not day:
            hub.create_topic("wide", partitions=40)
        claims = Claims(hub, "p")
        for number in range(40):
            claims.finish(claims.take(f"run {day} {number}", {"lake": ends}))
        hub.tidy()
        hub.close()
    written = sum(path.stat().st_size for path in (tmp_path / "data").glob("*/*.log"))
    assert written < 8_000_000, "each of two logs holds what cannot be compacted yet, and little more"
