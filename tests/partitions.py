"""What tests of the partition log share: batches in one line, a clock and a disk under the test's control."""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.disk import Disk, SystemDisk
from ingest.environment import Environment
from ingest.failpoints import FailPoints
from ingest.log.partition import AppendInfo, PartitionLog
from ingest.log.partition_view import PartitionView
from ingest.log.topic_config import TopicConfig
from ingest.wire.batch import whole_batches
from ingest.wire.codec import decode_batch, encode_batch
from ingest.wire.columns import RecordColumns
from ingest.wire.control import Marker, encode_marker

START_MS = 1_770_000_000_000


class ManualClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.ms = START_MS

    def now_ms(self) -> int:
        return self.ms

    def monotonic_ms(self) -> int:
        return self.ms

    def wait(self, event: threading.Event, timeout_ms: int) -> bool:
        self.ms += timeout_ms
        return event.is_set()


class RefusingDisk(SystemDisk):
    """Refuses the operations named in ``refused`` with their error numbers, until they are taken out again."""

    def __init__(self) -> None:
        self.refused: dict[str, int] = {}

    def _ask(self, operation: str, path: Path) -> None:
        if operation in self.refused:
            number = self.refused[operation]
            raise OSError(number, os.strerror(number), str(path))

    def sync(self, fd: int, path: Path) -> None:
        self._ask("sync", path)
        super().sync(fd, path)

    def sync_folder(self, path: Path) -> None:
        self._ask("sync_folder", path)
        super().sync_folder(path)

    def replace(self, source: Path, target: Path) -> None:
        self._ask("replace", source)
        super().replace(source, target)

    def unlink(self, path: Path) -> None:
        self._ask("unlink", path)
        super().unlink(path)

    def truncate(self, fd: int, path: Path, size_bytes: int) -> None:
        self._ask("truncate", path)
        super().truncate(fd, path, size_bytes)

    def read_only(self) -> None:
        self.refused = dict.fromkeys(("sync", "sync_folder", "replace", "unlink", "truncate"), errno.EROFS)


class Crash(BaseException):
    """Raised by a fail point: the process has ended as far as the log is concerned."""


def crash() -> None:
    raise Crash


@dataclass
class Site:
    """A partition in a folder, with all that it takes from the world."""

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    disk: Disk = field(default_factory=RefusingDisk)
    clock: ManualClock = field(default_factory=ManualClock)
    fail: FailPoints = field(default_factory=FailPoints)
    reports: list[str] = field(default_factory=list)

    def open(self, **options: Any) -> PartitionLog:
        env = Environment(clock=self.clock, disk=self.disk, random=random.Random(3), fail=self.fail)
        config = TopicConfig.parse(dict(self.settings))
        return PartitionLog.open(self.folder, "t", 0, config, env, report=self.reports.append, **options)

    def view(self, synced_limit: int | None = None) -> PartitionView:
        config = TopicConfig.parse(dict(self.settings))
        return PartitionView.open(self.folder, "t", 0, config, synced_limit=synced_limit)

    def append(self, log: PartitionLog, *values: str | bytes | None, **options: Any) -> AppendInfo:
        """One batch of these values, at the clock's time."""
        kind = options.pop("kind", "client")
        batch = batch_of(*values, time_ms=options.pop("time_ms", self.clock.ms), **options)
        return log.append(batch, now_ms=self.clock.ms, kind=kind)

    def mark(self, log: PartitionLog, marker: Marker, producer_id: int, epoch: int = 0) -> AppendInfo:
        batch = encode_marker(marker, producer_id, epoch, self.clock.ms)
        return log.append(batch, now_ms=self.clock.ms, kind="marker")

    def logs(self) -> list[Path]:
        return sorted(self.folder.glob("*.log"))

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


def batch_of(
    *values: str | bytes | None, keys: list[str | None] | None = None, time_ms: int = START_MS, **options: Any
) -> bytearray:
    """An encoded batch; ``keys`` as many as values; options are those of the codec."""
    return encode_batch(
        RecordColumns(
            values=pa.array([_bytes(value) for value in values], pa.binary()),
            timestamps=np.full(len(values), time_ms, np.int64),
            keys=None if keys is None else pa.array([_bytes(key) for key in keys], pa.binary()),
        ),
        **options,
    )


def records_of(buffer: memoryview, *, control: bool = False) -> list[tuple[int, bytes | None, bytes | None]]:
    """(offset, key, value) of each record of data."""
    found = []
    for position, header in whole_batches(buffer):
        if header.is_control and not control:
            continue
        columns = decode_batch(buffer, header, position)
        assert columns.offsets is not None
        keys = [None] * len(columns) if columns.keys is None else columns.keys.to_pylist()
        found += list(zip(columns.offsets.tolist(), keys, columns.values.to_pylist(), strict=True))
    return found


def read_all(
    log: PartitionLog | PartitionView, *, start: int | None = None, committed: bool = False, max_bytes: int = 200
) -> list[tuple[int, bytes | None, bytes | None]]:
    """Every visible record from the log start (or ``start``) on; aborted ones left out if ``committed``."""
    found: list[tuple[int, bytes | None, bytes | None]] = []
    offset = log.log_start_offset if start is None else start
    first = offset
    while True:
        result = log.read(offset, max_bytes, committed=committed)
        if result.end == offset:
            return [record for record in found if record[0] >= first]
        for position, header in whole_batches(result.buffer):
            if header.is_control or (committed and _void(header.producer_id, header.base_offset, result.aborted)):
                continue
            found += records_of(result.buffer[position : position + header.size_bytes])
        offset = result.end


def values_of(log: PartitionLog | PartitionView, **options: Any) -> list[str]:
    """The values alone, as text."""
    return [value.decode() for _, _, value in read_all(log, **options) if value is not None]


def _void(producer_id: int, offset: int, aborted: list[tuple[int, int, int]]) -> bool:
    return any(pid == producer_id and first <= offset <= last for pid, first, last in aborted)


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def arm(fail: FailPoints, name: str, action: Callable[[], None] = crash, count: int = 1) -> None:
    fail.arm(name, action, count=count)
