"""Disks and stores that refuse: an error that names the path, nothing half published, and going on afterwards."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from lake import Lake, delivery, numbers

from ingest.disk import SystemDisk
from ingest.errors import ConfigError, StorageFailed
from ingest.sinks.parquet.connector import ParquetSink
from ingest.sinks.parquet.settings import ParquetSettings


class RefusingDisk(SystemDisk):
    """Refuses one operation, from the ``after``-th call on, until told otherwise."""

    def __init__(self, operation: str, number: int, after: int = 0) -> None:
        self.operation, self.number, self.left = operation, number, after

    def _ask(self, operation: str, path: Path) -> None:
        if operation == self.operation:
            self.left -= 1
            if self.left < 0:
                raise OSError(self.number, os.strerror(self.number), str(path))

    def sync(self, fd: int, path: Path) -> None:
        self._ask("sync", path)
        super().sync(fd, path)

    def sync_folder(self, path: Path) -> None:
        self._ask("sync_folder", path)
        super().sync_folder(path)

    def replace(self, source: Path, target: Path) -> None:
        self._ask("replace", target)
        super().replace(source, target)

    def link(self, source: Path, target: Path) -> None:
        self._ask("link", target)
        super().link(source, target)


@contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    """The system refuses to let a file of this process grow beyond ``size_bytes``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def random_rows(start: int, end: int) -> pa.Array:
    x = pa.array(np.random.default_rng(start).random(end - start))
    return pa.StructArray.from_arrays([pa.array(range(start, end)), x], ["id", "x"])


def test_a_write_that_is_refused_in_the_middle_of_a_file_publishes_nothing(tmp_path: Path) -> None:
    lake = Lake(tmp_path, {"compression": "none"})
    task = lake.open()
    lake.write(task, 0, random_rows(0, 100))
    with largest_file(50_000), pytest.raises(StorageFailed) as caught:
        lake.write(task, 100, random_rows(100, 200_000))
    assert caught.value.facts["errno"] == errno.EFBIG
    assert str(lake.root) in str(caught.value.facts["path"])
    task.close()
    assert lake.temporaries() == []
    assert len(lake.rows()) == 100
    again = lake.open(epoch=2)
    lake.write(again, 100, random_rows(100, 200))
    assert sorted(row["id"] for row in lake.rows()) == list(range(200))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("operation", ["sync", "sync_folder", "link", "replace"])
@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_whatever_the_disk_refuses_nothing_is_lost_or_doubled(
    tmp_path: Path, operation: str, number: int, after: int
) -> None:
    lake = Lake(tmp_path, {"partition_by": ["part"]})
    lake.write(lake.open(), 0, numbers(0, 3, part=0))
    lake.disk = RefusingDisk(operation, number, after)
    paths: list[str] = []
    for epoch in range(2, 5):
        task = None
        try:
            task = lake.open(epoch=epoch)
            start = next(iter(task.standing.last.offsets.values()))
            values = [{"id": number, "part": number % 2} for number in range(start, start + 4)]
            lake.write(task, start, values)
        except StorageFailed as error:
            paths.append(str(error.facts["path"]))
        finally:
            if task is not None:
                task.close()
    lake.disk = SystemDisk()
    task = lake.open(epoch=9)
    end = next(iter(task.standing.last.offsets.values()))
    lake.write(task, end, numbers(end, 40, part=1))
    assert sorted(row["id"] for row in lake.rows()) == list(range(40))
    assert lake.temporaries() == []
    assert paths or after
    assert all(path.startswith(str(tmp_path)) for path in paths)


def test_a_file_system_without_hard_links_needs_a_single_writer(tmp_path: Path) -> None:
    lake = Lake(tmp_path, disk=RefusingDisk("link", errno.EPERM))
    with pytest.raises(ConfigError, match="hard links") as caught:
        lake.open()
    assert caught.value.facts["setting"] == "single_writer"
    task = lake.open(single_writer=True)
    lake.write(task, 0, numbers(0, 10))
    assert lake.open(epoch=2, single_writer=True).standing.last.number == 1
    assert len(lake.rows()) == 10


def test_a_store_that_cannot_tell_writers_apart_is_refused_when_the_file_is_loaded() -> None:
    with pytest.raises(ConfigError, match="two writers"):
        ParquetSink(ParquetSettings(url="sftp://host/lake"))
    ParquetSink(ParquetSettings(url="sftp://host/lake", single_writer=True))


def test_check_reaches_the_place_and_changes_nothing(tmp_path: Path) -> None:
    ParquetSink(ParquetSettings(url="deep/down/lake")).check(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageFailed, match="not a folder"):
        ParquetSink(ParquetSettings(url="file/lake")).check(tmp_path)


@pytest.mark.parametrize(("compression", "level"), [("zstd", 23), ("snappy", 1), ("none", 1), ("lz4", 3), ("gzip", 10)])
def test_a_level_that_the_codec_does_not_have_is_refused_when_the_file_is_loaded(compression: str, level: int) -> None:
    with pytest.raises(ValueError, match="compression_level"):
        ParquetSettings(url="lake", compression=compression, compression_level=level)  # type: ignore[arg-type]


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "lz4", "brotli", "none"])
def test_every_codec_writes_what_can_be_read(tmp_path: Path, compression: str) -> None:
    lake = Lake(tmp_path, {"compression": compression})
    lake.write(lake.open(), 0, numbers(0, 100))
    assert [row["id"] for row in lake.rows()] == list(range(100))


def test_secrets_of_the_store_are_never_shown() -> None:
    settings = ParquetSettings(url="s3://b/l", storage_options={"secret": "hunter2", "client_kwargs": {"a": "b"}})
    assert "hunter2" not in str(settings.model_dump(mode="json"))
    assert "hunter2" not in repr(settings)


def test_the_longest_wait_is_known_before_anything_was_put(tmp_path: Path) -> None:
    task = Lake(tmp_path).open()
    assert task.next_flush_ms() is None
    task.put(delivery(0, numbers(0, 1)))
    assert task.next_flush_ms() == 300_000
