"""Tables of the sink ``files`` for tests: a folder, and what independent readers find in it."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import backports.zstd
import fastavro
from lake import Lake, sink_context

from ingest.environment import Environment
from ingest.sinks.files.formats import file_format
from ingest.sinks.files.settings import FilesSettings
from ingest.sinks.lake.task import LakeTask

ENDS = ("jsonl", "csv", "tsv", "txt", "dsv", "avro", "gz", "zst", "bz2")


class FileTable(Lake):
    """As ``Lake``, written by the sink ``files``."""

    def open(self, **given: Any) -> LakeTask:
        about = {key: given.pop(key) for key in ("epoch", "tolerate", "pipeline") if key in given}
        settings = FilesSettings(**({"url": "lake"} | self.settings | given))
        task = LakeTask(settings, file_format(settings))
        environment = Environment(clock=self.clock, disk=self.disk, fail=self.fail)
        task.standing = task.open(  # type: ignore[attr-defined]
            sink_context(self.folder, environment=environment, **about)
        )
        return task

    def files(self) -> list[Path]:
        return sorted(
            path
            for path in self.root.rglob("*")
            if path.suffix[1:] in ENDS and path.is_file() and not path.name.startswith(".")
        )

    def content(self) -> bytes:
        """All files, decompressed, in the order of their names."""
        return b"".join(plain_bytes(path.name, path.read_bytes()) for path in self.files())


def plain_bytes(name: str, content: bytes) -> bytes:
    """What is in a file, by Python's own libraries."""
    import bz2

    opened: dict[str, Callable[[bytes], bytes]] = {
        ".gz": gzip.decompress,
        ".bz2": bz2.decompress,
        ".zst": backports.zstd.decompress,
    }
    return opened.get(Path(name).suffix, bytes)(content)


def read_rows(name: str, content: bytes) -> list[dict[str, Any]]:
    """The rows of one file, by readers that are not ours."""
    plain = plain_bytes(name, content)
    if ".avro" in name:
        return list(fastavro.reader(io.BytesIO(plain)))
    text = plain.decode()
    if ".jsonl" in name:
        return [json.loads(line) for line in text.splitlines()]
    if ".csv" in name:
        return list(csv.DictReader(io.StringIO(text, newline="")))
    return [{"row": line.split("\x01")[0]} for line in text.split("\n")[:-1]]
