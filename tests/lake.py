"""What tests of lake tables share: a table in a folder, and the engine's part in writing to it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.connectors import TIMESTAMP, Commit, Delivery, Records, SinkContext
from ingest.connectors.testing import SinkContract
from ingest.disk import Disk, SystemDisk
from ingest.environment import Environment
from ingest.failpoints import FailPoints
from ingest.sinks.lake.task import LakeTask
from ingest.sinks.parquet.file_format import ParquetFormat
from ingest.sinks.parquet.settings import ParquetSettings

FAIL_POINTS = (
    "lake.opened",
    "lake.strays.removed",
    "lake.file.written",
    "lake.file.synced",
    "lake.manifest.before",
    "lake.manifest.put",
    "lake.publish.file",
    "lake.published",
)
HUB = "99999999-9999-9999-9999-999999999999"


class ParquetContract(SinkContract):
    """Rows are partitioned, so that a commit has several files."""

    fail_points = FAIL_POINTS

    def value(self, rows: Sequence[str]) -> pa.Array:
        digits = [str(int(row[-1]) // 5) for row in rows]
        return pa.StructArray.from_arrays([pa.array(list(rows)), pa.array(digits)], ["row", "digit"])

    def poison(self) -> pa.Array:
        return pa.array([{"row": "too long a folder name", "digit": "9" * 300}], self.value(["row-00000"]).type)


class ManualClock:
    """Stands still until a test moves it; the wall clock may be moved apart from the other."""

    def __init__(self) -> None:
        self.ms = 1_700_000_000_000
        self.wall_ms = self.ms

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic_ms(self) -> int:
        return self.ms

    def wait(self, event: threading.Event, timeout_ms: int) -> bool:
        self.ms += timeout_ms
        return event.is_set()


@dataclass
class Lake:
    """A table at ``<folder>/lake`` and the sink ``site/lake`` that writes to it."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    disk: Disk = field(default_factory=SystemDisk)
    clock: ManualClock = field(default_factory=ManualClock)
    fail: FailPoints = field(default_factory=FailPoints)

    @property
    def root(self) -> Path:
        return self.folder / "lake"

    def open(
        self, *, epoch: int = 1, tolerate: bool = True, hub_id: str = HUB, pipeline: str = "site", **settings: Any
    ) -> LakeTask:
        """A task that is open; ``task.standing`` is what ``open`` returned."""
        parsed = ParquetSettings(**({"url": "lake"} | self.settings | settings))
        task = LakeTask(parsed, ParquetFormat(parsed))
        environment = Environment(clock=self.clock, disk=self.disk, fail=self.fail)
        context = sink_context(
            self.folder, epoch=epoch, tolerate=tolerate, hub_id=hub_id, pipeline=pipeline, environment=environment
        )
        task.standing = task.open(context)  # type: ignore[attr-defined]
        return task

    def write(self, task: LakeTask, start: int, value: pa.Array | list[Any], **columns: Any) -> Commit:
        """Puts and commits."""
        task.put(delivery(start, value, **columns))
        commit = task.flush(force=True)
        assert commit is not None
        return commit

    def files(self) -> list[Path]:
        """What a reader finds who globs."""
        return sorted(self.root.rglob("*.parquet"))

    def rows(self) -> list[dict[str, Any]]:
        """All rows of all files, with the columns that the files hold."""
        return [row for file in self.files() for row in pq.ParquetFile(file).read().to_pylist()]

    def temporaries(self) -> list[Path]:
        return [path for path in self.root.rglob("*") if path.name.endswith(".tmp")]


def sink_context(
    folder: Path,
    *,
    environment: Environment | None = None,
    epoch: int = 1,
    tolerate: bool = True,
    hub_id: str = HUB,
    pipeline: str = "site",
) -> SinkContext:
    """What the engine gives to the sink ``lake``."""
    return SinkContext(
        pipeline=pipeline,
        name="lake",
        hub_id=hub_id,
        topic_ids={"events": "id-of-events", "other": "id-of-other"},
        epoch=epoch,
        base_folder=folder,
        environment=environment or Environment(fail=FailPoints()),
        tolerate=tolerate,
    )


def delivery(
    start: int,
    value: pa.Array | list[Any],
    *,
    topic: str = "events",
    partition: int = 0,
    timestamps: Sequence[int | None] | None = None,
) -> Delivery:
    """One record per offset from ``start`` on."""
    column = value if isinstance(value, pa.Array) else pa.array(value)
    count = len(column)
    times = pa.array(timestamps if timestamps is not None else [1_700_000_000_000] * count, pa.int64())
    records = Records(
        value=column,
        topic=topic,
        partition=partition,
        offsets=pa.array(range(start, start + count), pa.int64()),
        timestamp=times.cast(TIMESTAMP),
        rows=pa.array([0] * count, pa.int64()),
    )
    return Delivery(topic, partition, start, start + count, [records])


def numbers(start: int, end: int, **columns: Any) -> pa.Array:
    """Rows ``{"id": start}`` .. ``{"id": end - 1}``, each with the same further columns."""
    return pa.array([{"id": number} | columns for number in range(start, end)])
