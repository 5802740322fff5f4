"""Offset checkpoints: small text files, one offset per partition, as Apache Kafka writes them.

    0                       version
    2                       number of entries
    access 0 1841           topic partition offset
    access 1 17

A file that is missing, cut short or written wrong reads as empty: whoever uses a checkpoint must be
right, only slower, without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from ingest.disk import Disk
from ingest.log.atomic_file import replace_file
from ingest.log.partition import PartitionLog

RECOVERY_POINTS = "recovery-point-offset-checkpoint"
LOG_STARTS = "log-start-offset-checkpoint"
HIGH_WATERMARKS = "high-watermark-checkpoint"

Offsets = Mapping[tuple[str, int], int]


def write_checkpoint(disk: Disk, path: Path, offsets: Offsets, *, durable: bool = True) -> None:
    """Replaces the checkpoint as a whole; see ``replace_file`` for ``durable``."""
    lines = ["0", str(len(offsets))]
    lines += [f"{topic} {partition} {offset}" for (topic, partition), offset in sorted(offsets.items())]
    replace_file(disk, path, ("\n".join(lines) + "\n").encode(), durable=durable)


def read_checkpoint(path: Path) -> dict[tuple[str, int], int]:
    """The offsets by topic and partition; empty if the file is missing or makes no sense."""
    try:
        text = path.read_text(encoding="ascii")
        version, count, *lines = text.splitlines()
        entries = [line.split(" ") for line in lines]
        offsets = {(topic, int(partition)): int(offset) for topic, partition, offset in entries}
    except (FileNotFoundError, ValueError):
        return {}
    # The last line's end tells a whole file from one whose last number was cut short.
    whole = version == "0" and len(offsets) == int(count) and text.endswith("\n")
    return offsets if whole else {}


class Checkpoints:
    """The three checkpoints of a data folder. Calls are serialised by the store, with changes to topics."""

    def __init__(self, disk: Disk, folder: Path) -> None:
        self._disk = disk
        self._folder = folder

    def recovery_points(self) -> dict[tuple[str, int], int]:
        """Before these offsets nothing needs to be checked at opening."""
        return read_checkpoint(self._folder / RECOVERY_POINTS)

    def log_starts(self) -> dict[tuple[str, int], int]:
        """Records before these offsets were deleted."""
        return read_checkpoint(self._folder / LOG_STARTS)

    def high_watermarks(self) -> dict[tuple[str, int], int]:
        """How far other processes may read."""
        return read_checkpoint(self._folder / HIGH_WATERMARKS)

    def write(self, logs: Iterable[PartitionLog]) -> None:
        """Recovery points and log starts, durably."""
        found = list(logs)
        self._write(LOG_STARTS, {(log.topic, log.partition): log.log_start_offset for log in found})
        self._write(RECOVERY_POINTS, {(log.topic, log.partition): log.recovery_point for log in found})

    def write_log_starts(self, logs: Iterable[PartitionLog]) -> None:
        """Log starts alone, durably: records were deleted."""
        self._write(LOG_STARTS, {(log.topic, log.partition): log.log_start_offset for log in logs})

    def publish(self, logs: Iterable[PartitionLog], *, durable: bool = False) -> None:
        """High watermarks, for readers in other processes: what it names is on disk, the file need not be."""
        marks = {(log.topic, log.partition): log.high_watermark for log in logs}
        self._write(HIGH_WATERMARKS, marks, durable=durable)

    def drop(self, topic: str) -> None:
        """Forgets a deleted topic, durably: a later one of the same name must not inherit its offsets."""
        for name in (RECOVERY_POINTS, LOG_STARTS, HIGH_WATERMARKS):
            offsets = read_checkpoint(self._folder / name)
            self._write(name, {place: offset for place, offset in offsets.items() if place[0] != topic})

    def _write(self, name: str, offsets: Offsets, *, durable: bool = True) -> None:
        write_checkpoint(self._disk, self._folder / name, offsets, durable=durable)
