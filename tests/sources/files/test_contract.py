"""The contract of sources, for each format of objects."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from s3_server import BUCKET, s3_server

from ingest.connectors.testing import SourceContract
from ingest.sources.files.connector import FilesSource
from ingest.sources.files.settings import FilesSettings

_NUMBERS = itertools.count()


class FilesContract(SourceContract):
    """Each ``fill`` is one more object."""

    suffix: str
    settings: dict[str, Any] = {}

    def source(self, folder: Path) -> FilesSource:
        return FilesSource(FilesSettings(url="in", min_age=0, every=20, order="name", **self.settings))

    def fill(self, folder: Path, rows: Sequence[str]) -> None:
        (folder / "in").mkdir(exist_ok=True)
        if rows:
            self.put(folder, self.content(rows))

    def put(self, folder: Path, content: bytes) -> None:
        name = f"object-{next(_NUMBERS):06}{self.suffix}"
        unfinished = folder / "in" / f"{name}.tmp"
        unfinished.write_bytes(content)
        unfinished.rename(folder / "in" / name)

    def content(self, rows: Sequence[str]) -> bytes:
        raise NotImplementedError


class TestLines(FilesContract):
    suffix = ".txt"

    def content(self, rows: Sequence[str]) -> bytes:
        return "".join(f"{row}\n" for row in rows).encode()

    def spoil(self, folder: Path) -> None:
        (folder / "in").mkdir(exist_ok=True)
        self.put(folder, b"\xff\xfe not utf-8\n")


class TestCsv(FilesContract):
    suffix = ".csv"

    def content(self, rows: Sequence[str]) -> bytes:
        return ("row,n\r\n" + "".join(f'"{row}",{index}\r\n' for index, row in enumerate(rows))).encode()

    def spoil(self, folder: Path) -> None:
        (folder / "in").mkdir(exist_ok=True)
        self.put(folder, b"row,n\none-value-only\n")


class TestJson(FilesContract):
    suffix = ".jsonl"

    def content(self, rows: Sequence[str]) -> bytes:
        return "".join(json.dumps({"row": row}) + "\n" for row in rows).encode()

    def spoil(self, folder: Path) -> None:
        (folder / "in").mkdir(exist_ok=True)
        self.put(folder, b"{]\n")


class TestGzippedJson(TestJson):
    suffix = ".json.gz"

    def put(self, folder: Path, content: bytes) -> None:
        import gzip

        super().put(folder, gzip.compress(content))


class TestParquet(FilesContract):
    suffix = ".parquet"

    def content(self, rows: Sequence[str]) -> bytes:
        sink = io.BytesIO()
        pq.write_table(pa.table({"row": list(rows)}), sink, row_group_size=40)
        return sink.getvalue()

    def spoil(self, folder: Path) -> None:
        (folder / "in").mkdir(exist_ok=True)
        self.put(folder, b"no Parquet at all")


class TestAvro(FilesContract):
    suffix = ".avro"

    def content(self, rows: Sequence[str]) -> bytes:
        sink = io.BytesIO()
        schema = {"type": "record", "name": "r", "fields": [{"name": "row", "type": ["null", "string"]}]}
        fastavro.writer(sink, schema, [{"row": row} for row in rows], codec="deflate", sync_interval=500)
        return sink.getvalue()

    def spoil(self, folder: Path) -> None:
        (folder / "in").mkdir(exist_ok=True)
        self.put(folder, b"Obj\x01 and nothing else")


class TestMemory(TestCsv):
    def source(self, folder: Path) -> FilesSource:
        return FilesSource(FilesSettings(url=f"memory:/{folder}/in", min_age=0, every=20, order="name"))

    def fill(self, folder: Path, rows: Sequence[str]) -> None:
        import fsspec

        fsspec.filesystem("memory").makedirs(f"{folder}/in", exist_ok=True)
        if rows:
            self.put(folder, self.content(rows))

    def put(self, folder: Path, content: bytes) -> None:
        import fsspec

        fsspec.filesystem("memory").pipe_file(f"{folder}/in/object-{next(_NUMBERS):06}.csv", content)


@pytest.fixture(scope="module")
def options() -> Iterator[dict[str, Any]]:
    with s3_server() as found:
        yield found


@pytest.mark.slow
class TestS3(TestJson):
    @pytest.fixture(autouse=True)
    def _server(self, options: dict[str, Any]) -> None:
        self.options = options

    def source(self, folder: Path) -> FilesSource:
        url = f"s3://{BUCKET}{folder}/in"
        return FilesSource(FilesSettings(url=url, min_age=0, every=50, order="name", storage_options=self.options))

    def fill(self, folder: Path, rows: Sequence[str]) -> None:
        if rows:
            self.put(folder, self.content(rows))
        else:
            self.write(f"{BUCKET}{folder}/in/.keep", b"")

    def put(self, folder: Path, content: bytes) -> None:
        self.write(f"{BUCKET}{folder}/in/object-{next(_NUMBERS):06}.jsonl", content)

    def write(self, path: str, content: bytes) -> None:
        import s3fs

        s3fs.S3FileSystem(**self.options).pipe_file(path, content)
