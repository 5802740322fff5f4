"""The contract of sinks, on a folder and in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
from lake import ParquetContract

from ingest.sinks.parquet.connector import ParquetSink
from ingest.sinks.parquet.settings import ParquetSettings


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
