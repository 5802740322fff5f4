"""The contract of sinks, on a folder and in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.connectors.testing import SinkContract
from ingest.sinks.parquet.connector import ParquetSink
from ingest.sinks.parquet.settings import ParquetSettings

FAIL_POINTS = (
    "parquet.opened",
    "parquet.strays.removed",
    "parquet.file.written",
    "parquet.file.synced",
    "parquet.manifest.before",
    "parquet.manifest.put",
    "parquet.publish.file",
    "parquet.published",
)


class ParquetContract(SinkContract):
    """Rows are partitioned, so that a commit has several files."""

    fail_points = FAIL_POINTS

    def value(self, rows: Sequence[str]) -> pa.Array:
        digits = [str(int(row[-1]) // 5) for row in rows]
        return pa.StructArray.from_arrays(
            [pa.array(rows, pa.string()), pa.array(digits, pa.string())], ["row", "digit"]
        )

    def poison(self) -> pa.Array:
        return pa.array([{"row": "too long a folder name", "digit": "9" * 300}], self.value(["row-00000"]).type)


class TestLocalFolder(ParquetContract):
    def sink(self, folder: Path) -> ParquetSink:
        return ParquetSink(ParquetSettings(url="lake", partition_by=["digit"]))

    def rows(self, folder: Path) -> Sequence[str]:
        return [row for file in folder.rglob("*.parquet") for row in pq.ParquetFile(file).read()["row"].to_pylist()]


class TestMemory(ParquetContract):
    def sink(self, folder: Path) -> ParquetSink:
        return ParquetSink(ParquetSettings(url=f"memory:/{folder}/lake", partition_by=["digit"]))

    def rows(self, folder: Path) -> Sequence[str]:
        import fsspec

        memory = fsspec.filesystem("memory")
        files = [file for file in memory.find(f"{folder}/lake") if file.endswith(".parquet")]
        return [row for file in files for row in pq.ParquetFile(memory.open(file)).read()["row"].to_pylist()]
