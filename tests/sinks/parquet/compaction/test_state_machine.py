"""Commits, compactions and crashes in any order and inside each other, with readers looking at every step.

Who globs never sees a row twice; who reads by manifest sees every committed row once; who opened the table some
time ago goes on seeing what it had then, until its files' grace is over.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from compacting import FAIL_POINTS, compact, store_of
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from lake import FAIL_POINTS as SINK_FAIL_POINTS
from lake import Lake
from s3_server import BUCKET, s3_server

from ingest.connectors import TopicPartition
from ingest.connectors.testing import Crash
from ingest.errors import OutputDamaged, SinkFenced, StorageFailed, SystemUnavailable
from ingest.failpoints import FailPoints
from ingest.sinks.lake.checkpoint import checkpoint_if_due
from ingest.sinks.lake.reading import check_table, open_dataset
from ingest.sinks.lake.task import LakeTask

GRACE_MS = 60_000
EVENTS = TopicPartition("events", 0)
OTHERS = ["compaction", "commit", "commit and compaction", "open_sink", "cut off"]
steps = st.sampled_from([point for point in FAIL_POINTS if point != "compact.vacuumed"])
counts = st.integers(1, 3)


class Watched(FailPoints):
    """Calls ``look`` at every step of everything."""

    def __init__(self, look: Callable[[], None]) -> None:
        super().__init__()
        self._look = look

    def hit(self, name: str) -> None:
        self._look()
        super().hit(name)


class TableMachine(RuleBasedStateMachine):
    """One table; ``sure`` are the rows of commits that were returned or found, ``maybe`` those of one that was cut
    off: its manifest decides, and the next opening tells."""

    url = "lake"
    options: dict[str, Any] = {}

    def __init__(self) -> None:
        super().__init__()
        self.scratch = Path(tempfile.mkdtemp())
        where = {"url": self.url.format(unique=uuid.uuid4().hex), "storage_options": self.options}
        self.lake = Lake(self.scratch, {"partition_by": ["part"], **where})
        self.lake.fail = Watched(self.look)
        self.task: LakeTask | None = None
        self.epoch = 0
        self.sure = 0
        self.maybe = 0
        self.readers: list[tuple[int, ds.Dataset, list[int]]] = []

    def teardown(self) -> None:
        try:
            self.audit()
        finally:
            shutil.rmtree(self.scratch)

    def audit(self) -> None:
        if self.task is not None:
            self.task.close()
        self.lake.fail = FailPoints()
        self.open_sink()
        compact(self.lake, grace_ms=0)
        assert self.globbed() == self.by_manifest() == list(range(self.sure))
        where = self.lake.settings
        findings = check_table(where["url"], self.lake.folder, repair=False, storage_options=self.options)
        assert findings == []

    # what happens

    @initialize()
    def first_commits(self) -> None:
        self.open_sink()
        for _ in range(2):
            self.commit(3)

    @rule()
    def open_sink(self) -> None:
        """A new run of the sink; an older one that is still there is fenced."""
        self.epoch += 1
        self.task = self.lake.open(epoch=self.epoch)
        reached = self.task.standing.last.offsets[EVENTS] if self.task.standing.last else 0  # type: ignore[attr-defined]
        assert reached in (self.sure, self.maybe)
        self.sure = self.maybe = reached

    @precondition(lambda self: self.task is not None)
    @rule(rows=st.integers(1, 6))
    def commit(self, rows: int) -> None:
        start = self.sure
        self.maybe = start + rows
        self.lake.write(self.task, start, [{"id": number, "part": number % 2} for number in range(start, self.maybe)])
        self.sure = self.maybe

    @precondition(lambda self: self.task is not None)
    @rule(rows=st.integers(1, 6), point=st.sampled_from(SINK_FAIL_POINTS[2:]), count=counts)
    def commit_that_is_cut_off(self, rows: int, point: str, count: int) -> None:
        self.lake.fail.arm(point, crash, count=count)
        try:
            self.commit(rows)
        except Crash:
            self.task = None
        self.disarm()

    @rule(thorough=st.booleans())
    def compaction(self, thorough: bool) -> None:
        compact(self.lake, grace_ms=GRACE_MS, thorough=thorough)

    @rule(point=steps, count=counts)
    def compaction_that_is_cut_off(self, point: str, count: int) -> None:
        self.lake.fail.arm(point, crash, count=count)
        with contextlib.suppress(Crash):
            compact(self.lake, grace_ms=GRACE_MS)
        self.disarm()

    @rule(point=steps, count=counts, also=st.sampled_from(OTHERS))
    def compaction_with_something_inside(self, point: str, count: int, also: str) -> None:
        """Another process does its work while this one is between two steps."""

        def other() -> None:
            if also.startswith("commit") and self.task is not None:
                self.commit(3)
            if also == "open_sink":
                self.open_sink()
            if also == "cut off":
                self.compaction_that_is_cut_off("compact.hide.file", 1)
            if also.endswith("compaction"):
                compact(self.lake, grace_ms=GRACE_MS)

        self.lake.fail.arm(point, other, count=count)
        try:
            compact(self.lake, grace_ms=GRACE_MS)
        except (SinkFenced, StorageFailed, SystemUnavailable):
            assert also.endswith(("compaction", "cut off"))
        self.disarm()

    @precondition(lambda self: self.task is not None)
    @rule(point=st.sampled_from(["lake.publish.file", "lake.manifest.put"]), takes_over=st.booleans())
    def commit_with_a_compaction_inside(self, point: str, takes_over: bool) -> None:
        """A sink that hangs while it publishes: another run finishes its commit, and that is merged at once."""
        hung = self.task

        def other() -> None:
            if takes_over:
                self.open_sink()
            compact(self.lake, grace_ms=GRACE_MS)

        self.lake.fail.arm(point, other)
        start = self.sure
        self.maybe = start + 4
        value = [{"id": number, "part": number % 2} for number in range(start, self.maybe)]
        try:
            self.lake.write(hung, start, value)
        except (OutputDamaged, SinkFenced):
            assert takes_over
        self.sure = self.maybe
        self.disarm()

    @rule(ms=st.sampled_from([1_000, GRACE_MS]))
    def time_passes(self, ms: int) -> None:
        self.lake.clock.wall_ms += ms

    @rule()
    def checkpoint(self) -> None:
        checkpoint_if_due(store_of(self.lake), "site~lake", every=1)

    @precondition(lambda self: self.sure)
    @rule()
    def reader_comes(self) -> None:
        dataset = self.dataset()
        rows = sorted(dataset.to_table(columns=["id"])["id"].to_pylist())
        self.readers.append((self.lake.clock.wall_ms, dataset, rows))

    def disarm(self) -> None:
        self.lake.fail._armed.clear()

    # what is seen

    @invariant()
    def look(self) -> None:
        globbed = self.globbed()
        assert len(globbed) == len(set(globbed))
        if self.sure:
            found = self.by_manifest()
            assert found in (list(range(self.sure)), list(range(self.maybe)))

    @invariant()
    def earlier_readers_go_on(self) -> None:
        now = self.lake.clock.wall_ms
        self.readers = [reader for reader in self.readers if now - reader[0] < GRACE_MS]
        for _, dataset, rows in self.readers:
            assert sorted(dataset.to_table(columns=["id"])["id"].to_pylist()) == rows

    def dataset(self) -> ds.Dataset:
        return open_dataset(self.lake.settings["url"], self.lake.folder, self.options)

    def by_manifest(self) -> list[int]:
        return sorted(self.dataset().to_table(columns=["id"])["id"].to_pylist())

    def globbed(self) -> list[int]:
        return sorted(number for file in self.lake.files() for number in pq.ParquetFile(file).read()["id"].to_pylist())


class RemoteMachine(TableMachine):
    """The same by fsspec."""

    def globbed(self) -> list[int]:
        filesystem, root = fsspec.url_to_fs(self.lake.settings["url"], **self.options)
        filesystem.invalidate_cache()
        files = [path for path in filesystem.find(root) if path.endswith(".parquet")]
        return sorted(
            number
            for file in files
            for number in pq.read_table(filesystem.open(file), columns=["id"])["id"].to_pylist()
        )


class MemoryMachine(RemoteMachine):
    url = "memory://{unique}/lake"


def run(machine: type[TableMachine], examples: int, steps: int = 20) -> None:
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None, print_blob=True)
    )


def test_in_a_folder() -> None:
    run(TableMachine, 6, steps=10)


def test_in_memory() -> None:
    run(MemoryMachine, 4, steps=10)


@pytest.mark.slow
@pytest.mark.parametrize("machine", [TableMachine, MemoryMachine])
def test_at_length(machine: type[TableMachine]) -> None:
    run(machine, 40)


@pytest.fixture
def s3_options() -> Iterator[dict[str, Any]]:
    with s3_server() as options:
        yield {**options, "use_listings_cache": False}


@pytest.mark.slow
def test_on_s3(s3_options: dict[str, Any]) -> None:
    class S3Machine(RemoteMachine):
        url = f"s3://{BUCKET}/{{unique}}/lake"
        options = s3_options

    run(S3Machine, 2, steps=5)


def crash() -> None:
    raise Crash
