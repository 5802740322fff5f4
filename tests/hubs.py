"""What tests of the store and the hub share: records by their text, and worlds that break on purpose."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from ingest.connectors import Records
from ingest.disk import SystemDisk
from ingest.environment import Environment
from ingest.failpoints import FailPoints
from ingest.hub.contract import Hub
from ingest.hub.embedded import EmbeddedHub


class Crash(BaseException):
    """Raised at a fail point: the process is no more."""


def crash() -> None:
    raise Crash


def open_hub(folder: Path, disk: SystemDisk | None = None, fail: FailPoints | None = None) -> EmbeddedHub:
    """With fail points of its own, never those of the shell's environment."""
    return EmbeddedHub.open(folder, Environment(disk=disk or SystemDisk(), fail=fail or FailPoints()))


def abandon(hub: EmbeddedHub) -> None:
    """The process ends here: nothing is synced or told to anybody."""
    store = hub._store
    store.abandon()


def records(*texts: str, topic: str = "t") -> Records:
    return Records(value=pa.array(texts, pa.string()), topic=topic)


def read(hub: Hub, topic: str = "t", partition: int = 0, *, committed: bool = True) -> list[str]:
    """The visible values, in order."""
    return [text for _, text in read_offsets(hub, topic, partition, committed=committed)]


def read_offsets(hub: Hub, topic: str = "t", partition: int = 0, *, committed: bool = True) -> list[tuple[int, str]]:
    """Offsets and values."""
    return list(_read(hub, topic, partition, committed))


def _read(hub: Hub, topic: str, partition: int, committed: bool) -> Iterator[tuple[int, str]]:
    offset = hub.start_offset(topic, partition)
    while offset < hub.end_offset(topic, partition, committed=committed):
        fetched = hub.read(topic, partition, offset, max_bytes=1000, committed=committed)
        assert fetched.end > offset, "a read below the end must make progress"
        if fetched.records is not None:
            assert fetched.records.offsets is not None
            values = [value.decode() for value in fetched.records.value.to_pylist()]
            yield from zip(fetched.records.offsets.to_pylist(), values, strict=True)
        offset = fetched.end


class CountingDisk(SystemDisk):
    """Counts syncs of logs by folder name; ``gate`` holds them up while it is not set."""

    def __init__(self) -> None:
        self.syncs: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Event()

    def sync(self, fd: int, path: Path) -> None:
        if path.suffix != ".log":
            super().sync(fd, path)
            return
        self.arrived.set()
        assert self.gate.wait(30)
        super().sync(fd, path)
        self.syncs.append(path.parent.name)


class FailingDisk(SystemDisk):
    """Refuses to sync while ``failing``; ``only`` limits that to files of one folder."""

    def __init__(self) -> None:
        self.failing = False
        self.only: str | None = None
        self.refused = threading.Event()

    def sync(self, fd: int, path: Path) -> None:
        if self.failing and self.only in (None, path.parent.name):
            self.refused.set()
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        super().sync(fd, path)
