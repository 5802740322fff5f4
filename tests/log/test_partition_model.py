"""The partition log against a model of it in memory: whatever is done in whatever order."""

from __future__ import annotations

import errno
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from partitions import RefusingDisk, Site, batch_of, read_all

from ingest.errors import OffsetOutOfRange, StorageFailed
from ingest.log.partition import PartitionLog
from ingest.wire.control import Marker


@dataclass
class Batch:
    base_offset: int
    values: list[bytes]
    last_append_ms: int
    producer: int = -1
    state: str = "plain"  # plain, open, committed, aborted

    @property
    def next_offset(self) -> int:
        return self.base_offset + len(self.values)


@dataclass
class Model:
    """What a log must hold: a list of batches, how much of it is on disk, where it starts."""

    batches: list[Batch] = field(default_factory=list)
    start: int = 0
    synced: int = 0
    end: int = 0

    def visible(self, *, committed: bool) -> list[tuple[int, bytes]]:
        limit = self.stable if committed else self.synced
        return [
            (batch.base_offset + row, value)
            for batch in self.batches
            for row, value in enumerate(batch.values)
            if self.start <= batch.base_offset + row
            and batch.base_offset < limit
            and batch.state != "marker"
            and not (committed and batch.state == "aborted")
        ]

    @property
    def stable(self) -> int:
        return min([self.synced, *(batch.base_offset for batch in self.batches if batch.state == "open")])

    def cut(self) -> None:
        self.batches = [batch for batch in self.batches if batch.base_offset < self.synced]
        self.end = self.synced


class LogMachine(RuleBasedStateMachine):
    """Small segments and sparse indexes, so that everything happens at borders."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="log-model-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.disk = RefusingDisk()
        self.model = Model()
        self.number = 0
        self.sequences: dict[int, int] = {}
        self.uncut = False

    @initialize(segment_bytes=st.integers(100, 1500), interval_bytes=st.sampled_from([1, 100, 4096]))
    def open(self, segment_bytes: int, interval_bytes: int) -> None:
        self.site = Site(
            self.root / "t-0",
            {"segment.bytes": str(segment_bytes), "index.interval.bytes": str(interval_bytes),
             "retention.ms": "1000", "segment.ms": "5000"},
            disk=self.disk,
        )  # fmt: skip
        self.log: PartitionLog = self.site.open()

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    @rule(count=st.integers(1, 5), size=st.integers(0, 60), wait_ms=st.integers(0, 400))
    def append(self, count: int, size: int, wait_ms: int) -> None:
        self.site.clock.ms += wait_ms
        values = self._values(count, size)
        info = self.site.append(self.log, *values)
        self._appended(info.base_offset, Batch(self.model.end, values, self.site.clock.ms))

    @rule(producer=st.integers(0, 2), count=st.integers(1, 3))
    def append_in_transaction(self, producer: int, count: int) -> None:
        values = self._values(count, 5)
        batch = batch_of(
            *values, time_ms=self.site.clock.ms, producer_id=producer, producer_epoch=0,
            base_sequence=self.sequences.get(producer, 0), transactional=True,
        )  # fmt: skip
        info = self.log.append(batch, now_ms=self.site.clock.ms)
        self.sequences[producer] = self.sequences.get(producer, 0) + count
        self._appended(info.base_offset, Batch(self.model.end, values, self.site.clock.ms, producer, "open"))

    @rule(producer=st.integers(0, 2), marker=st.sampled_from(Marker))
    def end_transaction(self, producer: int, marker: Marker) -> None:
        # As the hub does it: a marker follows a decision that is on disk, and the data before that.
        self.sync()
        info = self.site.mark(self.log, marker, producer)
        self._appended(info.base_offset, Batch(self.model.end, [b""], self.site.clock.ms, state="marker"))
        for batch in self.model.batches:
            if batch.producer == producer and batch.state == "open":
                batch.state = "committed" if marker is Marker.COMMIT else "aborted"
        self.sync()

    @rule()
    def sync(self) -> None:
        assert self.log.sync() == self.model.end
        self.model.synced = self.model.end
        self.uncut = False

    @rule(also=st.sets(st.sampled_from(["truncate", "unlink", "sync_folder", "replace"])))
    def sync_that_fails(self, also: set[str]) -> None:
        if not self.log.unsynced_bytes:
            return
        self.disk.refused = dict.fromkeys(["sync", *also], errno.EIO)
        try:
            self.log.sync()
        except StorageFailed:
            self._forget_unsynced()
            self.uncut = True
        finally:
            self.disk.refused = {}

    @rule()
    def roll(self) -> None:
        self.log.roll()

    @precondition(lambda self: self.model.synced > self.model.start)
    @rule(data=st.data())
    def delete_before(self, data: st.DataObject) -> None:
        offset = data.draw(st.integers(self.model.start, self.model.synced))
        self.log.delete_before(offset)
        self.model.start = max(self.model.start, offset)

    @rule(wait_ms=st.integers(0, 1500), hold=st.none() | st.integers(0, 40))
    def retain(self, wait_ms: int, hold: int | None) -> None:
        self.site.clock.ms += wait_ms
        self.log.retain(self.site.clock.ms, hold)
        start = self.log.log_start_offset
        assert start >= self.model.start
        assert start <= max(self.model.stable, self.model.start)
        if hold is not None and start > self.model.start:
            assert start <= max(hold, self.model.start)
        for batch in self.model.batches:
            if self.model.start < batch.next_offset <= start:
                assert batch.last_append_ms + 1000 < self.site.clock.ms
        self.model.start = start

    @rule()
    def close_and_open(self) -> None:
        self.log.close()
        self.model.synced = self.model.end
        self.log = self.site.open(clean=True, recovery_point=self.model.end, log_start_offset=self.model.start)

    @rule(torn=st.integers(0, 200), point=st.sampled_from(["none", "start", "synced"]))
    def kill_and_open(self, torn: int, point: str) -> None:
        """The page cache survives but for the last bytes, which were never synced."""
        if self.uncut:
            self.sync()  # else the kill brings back what the log could not take off the disk
        synced = self.model.synced
        self.log.close(clean=False)
        last = self.site.logs()[-1]
        keep = self._bytes_before(last, synced)
        size = last.stat().st_size
        with last.open("r+b") as file:
            file.truncate(max(size - torn, keep))
        self.log = self.site.open(
            recovery_point={"none": 0, "start": self.model.start, "synced": synced}[point],
            log_start_offset=self.model.start,
        )
        end = self.log.log_end_offset
        assert synced <= end <= self.model.end
        assert end in {synced, *(batch.next_offset for batch in self.model.batches)}
        self._forget_unsynced(end)

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "log"):
            return
        log, model = self.log, self.model
        assert (log.log_start_offset, log.log_end_offset, log.high_watermark) == (model.start, model.end, model.synced)
        assert log.last_stable_offset == model.stable
        for committed in (False, True):
            found = [(offset, value) for offset, _, value in read_all(log, committed=committed, max_bytes=300)]
            assert found == model.visible(committed=committed)

    @invariant()
    def refuses_what_is_outside(self) -> None:
        if not hasattr(self, "log"):
            return
        for offset in (self.model.start - 1, self.model.end + 1):
            try:
                self.log.read(offset, 10, committed=False)
            except OffsetOutOfRange:
                continue
            raise AssertionError(f"{offset} was read")

    def _values(self, count: int, size: int) -> list[bytes]:
        self.number += 1
        return [b"%d.%d" % (self.number, row) + b"x" * size for row in range(count)]

    def _appended(self, base_offset: int, batch: Batch) -> None:
        assert base_offset == self.model.end
        self.uncut = False
        self.model.batches.append(batch)
        self.model.end = batch.next_offset

    def _forget_unsynced(self, end: int | None = None) -> None:
        self.model.synced = self.model.synced if end is None else end
        for batch in self.model.batches:
            if batch.base_offset >= self.model.synced and batch.producer >= 0:
                self.sequences[batch.producer] -= len(batch.values)
        self.model.cut()

    @staticmethod
    def _bytes_before(path: Path, offset: int) -> int:
        from ingest.wire.batch import whole_batches

        return sum(h.size_bytes for _, h in whole_batches(path.read_bytes()) if h.base_offset < offset)


TestLogMachine = LogMachine.TestCase
TestLogMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
