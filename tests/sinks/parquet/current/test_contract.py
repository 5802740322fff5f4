"""The contract of sinks, for the newest rows of keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from lake import FAIL_POINTS

from ingest.connectors import TopicPartition
from ingest.connectors.sink_contract import texts
from ingest.connectors.testing import SinkContract
from ingest.sinks.parquet.connector import ParquetSink
from ingest.sinks.parquet.settings import ParquetSettings


class TestCurrentRows(SinkContract):
    """Each row of the suite is a key of its own."""

    fail_points = (*FAIL_POINTS, "lake.hide.file", "lake.hidden")

    def sink(self, folder: Path) -> ParquetSink:
        return ParquetSink(ParquetSettings(url="lake", mode="apply", key=["row"]))

    def rows(self, folder: Path) -> Sequence[str]:
        return [row for file in folder.rglob("*.parquet") for row in pq.ParquetFile(file).read()["row"].to_pylist()]

    def value(self, rows: Sequence[str]) -> pa.Array:
        return pa.StructArray.from_arrays([pa.array(list(rows), pa.string())], ["row"])

    def test_a_commit_names_the_offsets_of_all_partitions(self, tmp_path: Path) -> None:
        """As the suite has it, but of one topic: a table is that of one."""
        with self.opened(tmp_path) as (task, _):
            self.write(task, 0, 10)
            task.put(self.delivery(0, 4, partition=3, first=100))
            commit = task.flush(force=True)
        assert commit is not None
        expected = {TopicPartition("events", 0): 10, TopicPartition("events", 3): 4}
        assert dict(commit.offsets) == expected
        with self.opened(tmp_path, epoch=2) as (_, standing):
            assert standing.last is not None
            assert dict(standing.last.offsets) == expected
        assert sorted(self.rows(tmp_path)) == texts(0, 10) + texts(100, 104)

    def poison(self) -> pa.Array:
        return self.value([None])  # type: ignore[list-item]
