"""The contract of sinks, in each format of files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from file_tables import ENDS, read_rows
from lake import FAIL_POINTS, ParquetContract
from s3_server import BUCKET, s3_server

from ingest.connectors.testing import SinkContract
from ingest.sinks.files.connector import FilesSink
from ingest.sinks.files.settings import FilesSettings


class FilesContract(ParquetContract):
    settings: dict[str, Any]

    def sink(self, folder: Path) -> FilesSink:
        return FilesSink(FilesSettings(url="lake", partition_by=["digit"], **self.settings))

    def rows(self, folder: Path) -> Sequence[str]:
        files = [path for path in folder.rglob("*") if path.suffix[1:] in ENDS and not path.name.startswith(".")]
        return [row["row"] for path in files for row in read_rows(path.name, path.read_bytes())]


class TestJson(FilesContract):
    settings = {"format": "json", "compression": "gzip"}


class TestDelimited(FilesContract):
    settings = {"format": "delimited"}


class TestAvro(FilesContract):
    settings = {"format": "avro", "compression": "zstd"}


class TestCsvInMemory(ParquetContract):
    def sink(self, folder: Path) -> FilesSink:
        return FilesSink(FilesSettings(url=f"memory:/{folder}/lake", partition_by=["digit"], format="csv"))

    def rows(self, folder: Path) -> Sequence[str]:
        import fsspec

        memory = fsspec.filesystem("memory")
        files = [file for file in memory.find(f"{folder}/lake") if file.endswith(".csv")]
        return [row["row"] for file in files for row in read_rows(file, memory.cat_file(file))]


class TestLines(SinkContract):
    fail_points = FAIL_POINTS

    def sink(self, folder: Path) -> FilesSink:
        return FilesSink(FilesSettings(url="lake", format="lines", partition_by=["topic"]))

    def rows(self, folder: Path) -> Sequence[str]:
        return [row["row"] for path in folder.rglob("*.txt") for row in read_rows(path.name, path.read_bytes())]

    def value(self, rows: Sequence[str]) -> pa.Array:
        return pa.array(list(rows), pa.string())

    def poison(self) -> pa.Array:
        return pa.array([None], pa.string())


@pytest.fixture(scope="module")
def options() -> Iterator[dict[str, Any]]:
    with s3_server() as found:
        yield found


@pytest.mark.slow
class TestLinesOnS3(TestLines):
    @pytest.fixture(autouse=True)
    def _server(self, options: dict[str, Any]) -> None:
        self.options = options

    def sink(self, folder: Path) -> FilesSink:
        url = f"s3://{BUCKET}{folder}/lake"
        return FilesSink(FilesSettings(url=url, format="lines", compression="bz2", storage_options=self.options))

    def rows(self, folder: Path) -> Sequence[str]:
        import s3fs

        s3 = s3fs.S3FileSystem(**self.options, use_listings_cache=False)
        files = [file for file in s3.find(f"{BUCKET}{folder}/lake") if file.endswith(".txt.bz2")]
        return [row["row"] for file in files for row in read_rows(file, s3.cat_file(file))]
