"""Transactions against a model, with the process ending at any step, power cuts and failing disks."""

from __future__ import annotations

import errno
import os
import random
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hubs import Crash, abandon, crash, read_offsets, records
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from powercut import PowerCutDisk

from ingest.environment import Environment
from ingest.errors import Closed, StorageFailed
from ingest.failpoints import FailPoints
from ingest.hub.contract import HubTransaction, Writer
from ingest.hub.embedded import EmbeddedHub

WRITERS = ["w0", "w1"]
PARTITIONS = [0, 1]
STEPS = [
    "log.append.before", "log.append.written", "log.sync.before", "log.sync.data", "log.sync.done",
    "log.roll.before", "log.roll.sealed", "log.roll.created", "log.roll.done", "log.cut.before", "log.cut.done",
    "log.recover.begin", "log.recover.cut", "log.recover.done",
    "log.compact.written", "log.compact.synced", "log.compact.swap", "log.compact.removed", "log.compact.done",
    "store.checkpoint.before", "store.checkpoint.done",
    "txn.begin", "txn.data-synced", "txn.decided", "txn.markers", "txn.positions", "txn.complete",
]  # fmt: skip


GONE = (Crash, Closed)  # the process ended in this call, or in the background before it


class Disk(PowerCutDisk):
    """Loses power, and sometimes refuses to sync."""

    failing = False

    def sync(self, fd: int, path: Path) -> None:
        if self.failing and path.suffix == ".log":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        super().sync(fd, path)


@dataclass
class Open:
    """A transaction and what it should show if it commits: (partition, offset, text)."""

    inner: HubTransaction
    writer: str
    rows: list[tuple[int, int, str]] = field(default_factory=list)
    position: int | None = None


class Transactions(RuleBasedStateMachine):
    """The model: rows that readers must see, and those of transactions whose end is not certain."""

    @initialize(seed=st.integers(0, 2**32 - 1), spare=st.sampled_from([0.0, 0.3, 1.0]))
    def begin_world(self, seed: int, spare: float) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ingest-model-"))
        self.disk = Disk(self.folder, spare=spare, random=random.Random(seed))
        self.visible: set[tuple[int, int, str]] = set()
        self.positions: dict[str, int] = {}
        self.doubtful: list[Open] = []
        self.doubtful_rows: set[tuple[int, int, str]] = set()
        self.open: dict[str, Open] = {}
        self.counter = 0
        self.start()
        self.hub.create_topic("t", len(PARTITIONS), {"segment.bytes": "400"})
        self.register_all()

    def start(self) -> None:
        self.fail = FailPoints()
        env = Environment(disk=self.disk, fail=self.fail, random=self.disk.random)
        self.hub = EmbeddedHub.open(self.folder, env)

    def register_all(self) -> None:
        self.writers: dict[str, Writer] = {name: self.hub.register_writer(name) for name in WRITERS}
        self.open = {}

    def after_crash(self, *, cut: bool = True) -> None:
        """The world as the disk has it; what was in doubt is decided now."""
        self.disk.failing = False
        abandon(self.hub)
        if cut:
            self.disk.cut()
        self.start()
        self.decide()
        self.register_all()
        self.check_all()

    def decide(self) -> None:
        found = self.shown()
        for transaction in self.doubtful:
            there = set(transaction.rows) & found
            assert there in (set(), set(transaction.rows)), "a transaction is visible in part"
            if transaction.position is not None:
                at = self.hub.positions(transaction.writer).get("s", {}).get("n")
                committed = at == transaction.position
                assert committed or not there or not transaction.rows, "records without their position"
                assert not committed or there == set(transaction.rows), "a position without its records"
                if committed:
                    self.positions[transaction.writer] = transaction.position
            self.visible |= there
        self.visible |= self.doubtful_rows & found
        self.doubtful, self.doubtful_rows = [], set()

    def shown(self) -> set[tuple[int, int, str]]:
        return {(p, offset, text) for p in PARTITIONS for offset, text in read_offsets(self.hub, "t", p)}

    def text(self) -> str:
        self.counter += 1
        return f"r{self.counter}"

    @rule(name=st.sampled_from(WRITERS), partition=st.sampled_from(PARTITIONS), count=st.integers(1, 4))
    def append(self, name: str, partition: int, count: int) -> None:
        try:
            if name not in self.open:
                self.open[name] = Open(self.hub.transaction(self.writers[name]), name)
                self.doubtful = [doubt for doubt in self.doubtful if doubt.writer != name]
            transaction = self.open[name]
            texts = [self.text() for _ in range(count)]
            appended = transaction.inner.append(records(*texts), partition)
            transaction.rows += [(partition, appended.base_offset + n, text) for n, text in enumerate(texts)]
        except StorageFailed:
            if name in self.open:
                self.open.pop(name).inner.abort()
        except GONE:
            self.after_crash()

    @rule(name=st.sampled_from(WRITERS))
    def put_position(self, name: str) -> None:
        if name in self.open:
            self.counter += 1
            self.open[name].position = self.counter
            self.open[name].inner.put_positions(name, {"s": {"n": self.counter}})

    @rule(name=st.sampled_from(WRITERS))
    def commit(self, name: str) -> None:
        if name not in self.open:
            return
        transaction = self.open.pop(name)
        try:
            transaction.inner.commit().result(30)
        except StorageFailed:
            self.doubtful.append(transaction)
        except GONE:
            self.doubtful.append(transaction)
            self.after_crash()
        else:
            self.visible |= set(transaction.rows)
            if transaction.position is not None:
                self.positions[name] = transaction.position

    @rule(name=st.sampled_from(WRITERS))
    def abort(self, name: str) -> None:
        if name in self.open:
            try:
                self.open.pop(name).inner.abort()
            except GONE:
                self.after_crash()

    @rule(partition=st.sampled_from(PARTITIONS))
    def append_plainly(self, partition: int) -> None:
        text = self.text()
        try:
            appended = self.hub.append(records(text), partition).result(30)
            self.visible.add((partition, appended.base_offset, text))
        except (StorageFailed, *GONE) as error:
            # While a disk refuses, a cut may not reach it either: until it does, a crash may bring the bytes back.
            self.doubtful_rows |= {(partition, offset, text) for offset in range(self.counter * 8 + 8)}
            if isinstance(error, GONE):
                self.after_crash()

    @rule(name=st.sampled_from(WRITERS))
    def register_again(self, name: str) -> None:
        try:
            try:
                self.writers[name] = self.hub.register_writer(name)
            except StorageFailed:
                # The older epoch may be fenced all the same: a new one must be got before going on.
                self.disk.failing = False
                self.writers[name] = self.hub.register_writer(name)
        except GONE:
            self.after_crash()
            return
        self.doubtful = [doubt for doubt in self.doubtful if doubt.writer != name]
        self.open.pop(name, None)

    @rule(topic=st.sampled_from(["__transaction_state", "_ingest_positions"]))
    def roll_and_compact(self, topic: str) -> None:
        store = self.hub._store
        try:
            store.partition(topic, 0).roll()
            store.clean()
            store.checkpoint()
        except StorageFailed:
            return
        except GONE:
            self.after_crash()

    @rule(step=st.sampled_from(STEPS), count=st.integers(1, 3))
    def arm(self, step: str, count: int) -> None:
        self.fail.arm(step, crash, count=count)

    @rule(cut=st.booleans())
    def die(self, cut: bool) -> None:
        self.after_crash(cut=cut)

    @rule()
    def reopen(self) -> None:
        try:
            self.hub.close()
        except (*GONE, StorageFailed):
            self.after_crash()
            return
        self.disk.failing = False
        self.start()
        self.decide()
        self.register_all()
        self.check_all()

    @rule(failing=st.booleans())
    def break_or_mend_disk(self, failing: bool) -> None:
        self.disk.failing = failing

    @invariant()
    def nothing_else_is_shown(self) -> None:
        if hasattr(self, "hub"):
            extra = self.shown() - self.visible
            assert not extra - self.doubtful_rows, "readers see what was not committed"

    def check_all(self) -> None:
        assert self.shown() == self.visible
        assert {name: self.hub.positions(name).get("s", {}).get("n") for name in self.positions} == self.positions

    def teardown(self) -> None:
        if hasattr(self, "hub"):
            try:
                self.after_crash()
                self.hub.close()
            finally:
                del self.disk  # lets its files go
                shutil.rmtree(self.folder)


TestTransactions = Transactions.TestCase
TestTransactions.settings = settings(
    max_examples=int(os.environ.get("INGEST_EXAMPLES", "40")),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
