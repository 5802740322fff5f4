"""A run of a pipeline that has a range of its own, tried again, cleared, overtaken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import ingest
from ingest.environment import Environment
from ingest.errors import FolderLocked, RunStopped
from ingest.failpoints import FailPoints
from ingest.pipelines.loader import Pipeline, load_mapping
from ingest.pipelines.range_run import RangeResult, RangeRun

ROWS_A_FILE = 100


class Killed(BaseException):
    """The process is no more: no ``except Exception`` stops it."""


class World:
    """A hub with a topic of numbers, and a pipeline that brings them to a lake."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.produced = 0

    def produce(self, count: int) -> None:
        client = ingest.connect(str(self.folder / "data"))
        if not self.produced:
            client.create_topic("numbers", partitions=2, format="json")
        with client.producer("numbers") as producer:
            for number in range(self.produced, self.produced + count):
                producer.send({"number": number}, partition=number % 2)
        client.close()
        self.produced += count

    def pipeline(self, **lake: Any) -> Pipeline:
        sink = {"name": "lake", "type": "parquet", "topics": ["numbers"], "url": "./lake"}
        sink |= {"roll": {"rows": ROWS_A_FILE, "interval": 1}, **lake}
        return load_mapping({"name": "p", "hub": "./data", "sinks": [sink]}, self.folder)

    def run(self, name: str, *, fail: FailPoints | None = None, pipeline: Pipeline | None = None) -> RangeResult:
        environment = Environment(fail=fail or FailPoints())
        return RangeRun(pipeline or self.pipeline(), name, environment).run()

    def lake(self) -> list[int]:
        """Every number in the lake, as a globbing reader sees it."""
        files = sorted((self.folder / "lake").glob("*.parquet"))
        return sorted(number for file in files for number in pq.ParquetFile(file).read()["number"].to_pylist())

    def files(self) -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in (self.folder / "lake").rglob("*") if path.is_file()}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def rows(result: RangeResult) -> int:
    return int(result.as_dict()["sinks"]["lake"]["rows"])


def test_each_run_delivers_what_came_since_the_one_before(world: World) -> None:
    world.produce(250)
    first = world.run("monday")
    world.produce(30)
    second = world.run("tuesday")
    assert (rows(first), rows(second)) == (250, 30)
    assert second.as_dict()["sinks"]["lake"]["offsets"] == {"numbers": {"0": [125, 140], "1": [125, 140]}}
    assert world.lake() == list(range(280))


def test_a_finished_run_that_is_run_again_changes_nothing(world: World) -> None:
    world.produce(250)
    first = world.run("monday")
    world.produce(30)
    before = world.files()
    again = world.run("monday")
    assert again.found_done
    assert world.files() == before, "not one file was touched, and the new rows are for the next run"
    assert again.as_dict() | {"found_done": False} == first.as_dict()


def test_a_run_without_anything_to_do_is_finished_too(world: World) -> None:
    world.produce(10)
    world.run("monday")
    assert rows(world.run("tuesday")) == 0
    world.produce(10)
    assert world.run("tuesday").found_done


def test_within_a_range_files_are_cut_by_rows_only(world: World) -> None:
    world.produce(1000)
    result = world.run("monday")  # its interval is a millisecond
    sizes = {commit.rows for commit in result.commits}
    assert min(sizes) >= ROWS_A_FILE, "no commit was made by the clock"


def test_a_range_ends_where_it_was_claimed_though_more_has_come(world: World) -> None:
    world.produce(500)
    with pytest.raises(Killed):
        world.run("monday", fail=killing("sink.reported"))
    world.produce(500)
    assert rows(world.run("monday")) == 500
    assert world.lake() == list(range(500))


@pytest.mark.parametrize("point", ["lake.manifest.before", "lake.manifest.put", "lake.published", "sink.reported"])
@pytest.mark.parametrize("hits", [1, 2])
def test_a_run_that_was_killed_goes_on_and_delivers_each_row_once(world: World, point: str, hits: int) -> None:
    world.produce(900)  # a commit for each of the two partitions
    with pytest.raises(Killed):
        world.run("monday", fail=killing(point, hits))
    world.produce(100)
    result = world.run("monday")
    assert world.lake() == list(range(900))
    assert rows(result) == 900, "commits of all attempts are told"


def test_the_next_run_finishes_what_another_has_left_and_that_one_then_finds_it_done(world: World) -> None:
    world.produce(300)
    with pytest.raises(Killed):
        world.run("monday", fail=killing("lake.manifest.put"))
    world.produce(50)
    tuesday = world.run("tuesday")
    assert rows(tuesday) == 50, "monday's rows are monday's"
    assert sum(commit.rows for commit in tuesday.commits) == 350, "and whoever finishes them tells of them"
    monday = world.run("monday")
    assert (monday.found_done, rows(monday), monday.commits) == (True, 300, ())
    assert world.lake() == list(range(350))


def test_sources_are_drained_before_the_range_is_claimed(world: World) -> None:
    source = {"name": "made-up", "type": "generator", "kind": "rows", "count": 500, "topic": "made"}
    sink = {"name": "lake", "type": "parquet", "topics": ["made"], "url": "./lake"}
    document = {"name": "p", "hub": "./data", "sources": [source], "sinks": [sink]}
    pipeline = load_mapping(document, world.folder)
    first = world.run("monday", pipeline=pipeline)
    assert (first.records_in, first.dead_in, rows(first)) == (500, 0, 500)
    source["count"] = 600
    assert world.run("monday", pipeline=load_mapping(document, world.folder)).records_in == 0
    assert rows(world.run("tuesday", pipeline=load_mapping(document, world.folder))) == 100


def test_a_stop_commits_what_is_pending_and_the_next_attempt_goes_on(world: World) -> None:
    world.produce(900)
    run = RangeRun(world.pipeline(), "monday")
    run.stop()
    with pytest.raises(RunStopped):
        run.run()
    assert rows(world.run("monday")) == 900


def test_a_sink_that_is_gone_from_the_pipeline_is_told_and_holds_nobody_up(world: World) -> None:
    world.produce(300)
    with pytest.raises(Killed):
        world.run("monday", fail=killing("lake.manifest.before"))
    sink = {"name": "other", "type": "parquet", "topics": ["numbers"], "url": "./other"}
    told: list[str] = []
    pipeline = load_mapping({"name": "p", "hub": "./data", "sinks": [sink]}, world.folder)
    RangeRun(pipeline, "tuesday", Environment(fail=FailPoints()), report=told.append).run()
    assert any("no sink lake any more" in line for line in told)


def test_a_run_waits_for_the_hub_no_longer_than_it_was_told(world: World) -> None:
    world.produce(10)
    holder = ingest.connect(str(world.folder / "data"))
    with pytest.raises(FolderLocked):
        RangeRun(world.pipeline(), "monday", wait_ms=100).run()
    holder.close()


def killing(point: str, hits: int = 1) -> FailPoints:
    """The process dies the ``hits``-th time that it comes to ``point``."""

    def die() -> None:
        raise Killed

    fail = FailPoints()
    fail.arm(point, die, count=hits)
    return fail
