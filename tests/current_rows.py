"""What tests of current rows share: a table with a key, changes to it, and what it should then hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from lake import ManualClock, sink_context

from ingest.connectors import Commit, Delivery, Records
from ingest.disk import Disk, SystemDisk
from ingest.environment import Environment
from ingest.failpoints import FailPoints
from ingest.sinks.parquet.current.task import CurrentTask
from ingest.sinks.parquet.settings import ParquetSettings
from ingest.sources.databases.changes import Changes, Envelope, records_of
from ingest.sources.databases.tables import ColumnInfo, TableInfo

ROW = pa.struct([("id", pa.int64()), ("word", pa.string())])
Change = tuple[str, dict[str, Any] | None, dict[str, Any] | None]
"""``op``, ``before``, ``after``."""


def records_of_changes(*changes: Change, envelope: Envelope = "debezium", row: pa.StructType = ROW) -> Records:
    """As a source of changes makes them: deletes with tombstones, keys that change split."""
    columns = [ColumnInfo(each.name, str(each.type), each.type, each.name) for each in row]
    ops, befores, afters = zip(*changes, strict=True)
    whole = Changes(
        table=TableInfo("public", "words", "words", columns, ["id"]),
        op=pa.array(ops, pa.string()),
        before=pa.array(befores, row),
        after=pa.array(afters, row),
        source=pa.array([{"table": "words"}] * len(changes)),
        ts_ms=pa.array([0] * len(changes), pa.int64()),
    )
    return records_of(whole, source="db", topic="events", envelope=envelope)


def row(number: int, word: str | None) -> dict[str, Any]:
    return {"id": number, "word": word}


@dataclass
class CurrentTable:
    """A table at ``<folder>/lake``, and the sink that keeps it."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    disk: Disk = field(default_factory=SystemDisk)
    clock: ManualClock = field(default_factory=ManualClock)
    fail: FailPoints = field(default_factory=FailPoints)
    epoch: int = 0

    @property
    def root(self) -> Path:
        return self.folder / "lake"

    def open(self, *, tolerate: bool = True, epoch: int | None = None, **settings: Any) -> CurrentTask:
        """The next run of the sink; ``task.standing`` is what ``open`` returned."""
        self.epoch = self.epoch + 1 if epoch is None else epoch
        task = CurrentTask(ParquetSettings(**({"url": "lake", "mode": "apply"} | self.settings | settings)))
        environment = Environment(clock=self.clock, disk=self.disk, fail=self.fail)
        context = sink_context(self.folder, epoch=self.epoch, tolerate=tolerate, environment=environment)
        task.standing = task.open(context)  # type: ignore[attr-defined]
        return task

    @contextmanager
    def opened(self, **settings: Any) -> Iterator[CurrentTask]:
        task = self.open(**settings)
        try:
            yield task
        finally:
            task.close()

    def files(self) -> list[Path]:
        """What a reader finds who globs."""
        return sorted(self.root.rglob("*.parquet"))

    def rows(self) -> dict[Any, dict[str, Any]]:
        """All rows of all files, by their key, of which each is there once."""
        rows = [found for file in self.files() for found in pq.ParquetFile(file).read().to_pylist()]
        by_key = {found["id"]: found for found in rows}
        assert len(by_key) == len(rows), "a key is there twice"
        return by_key

    def words(self) -> dict[int, str | None]:
        return {number: found["word"] for number, found in self.rows().items()}

    def by_duckdb(self) -> list[tuple[Any, ...]]:
        return duckdb.sql(f"SELECT * FROM read_parquet('{self.root}/*.parquet', union_by_name = true)").fetchall()


def put(task: CurrentTask, start: int, records: Records, *, partition: int = 0, topic: str = "events") -> int:
    """Delivers ``records`` from the offset ``start`` on; returns the next offset."""
    end = start + len(records)
    placed = Records(
        value=records.value,
        key=records.key,
        topic=topic,
        partition=partition,
        offsets=pa.array(range(start, end), pa.int64()),
        rows=pa.array([0] * len(records), pa.int64()),
    )
    task.put(Delivery(topic, partition, start, end, [placed]))
    return end


def commit(task: CurrentTask) -> Commit:
    found = task.flush(force=True)
    assert found is not None
    return found


def apply(task: CurrentTask, start: int, *changes: Change, **options: Any) -> int:
    """Commits these changes; returns the next offset."""
    end = put(task, start, records_of_changes(*changes, **options))
    commit(task)
    return end


def values(*rows: dict[str, Any], keys: Sequence[bytes] | None = None) -> Records:
    """Records that are no changes."""
    return Records(value=pa.array(rows), key=None if keys is None else pa.array(keys, pa.binary()))
