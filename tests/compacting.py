"""What tests of compaction share: one run over the table of a ``Lake``."""

from __future__ import annotations

import random
from typing import Any

import pyarrow.parquet as pq
from lake import Lake

from ingest.environment import Environment
from ingest.sinks.lake.store import Store
from ingest.sinks.lake.target import open_store
from ingest.sinks.parquet.compaction.compactor import Compactor, Result
from ingest.sinks.parquet.compaction.plan import Rules
from ingest.sinks.parquet.file_format import ParquetFormat
from ingest.sinks.parquet.settings import ParquetSettings

MIB = 1024 * 1024
FAIL_POINTS = (
    "compact.file.written",
    "compact.manifest.before",
    "compact.manifest.put",
    "compact.hide.file",
    "compact.hidden",
    "compact.publish.file",
    "compact.published",
    "compact.vacuum.file",
    "compact.vacuumed",
    "compact.strays.removed",
)


def store_of(lake: Lake, **environment: Any) -> Store:
    """A store of its own at the table of ``lake``."""
    settings = {"url": "lake"} | lake.settings
    return open_store(
        settings["url"],
        lake.folder,
        Environment(clock=lake.clock, disk=lake.disk, **environment),
        storage_options=settings.get("storage_options"),
        single_writer=settings.get("single_writer", False),
    )


def compactor(
    lake: Lake,
    *,
    owner: str = "site~lake",
    below: int = 64 * MIB,
    to: int = 256 * MIB,
    min_files: int = 2,
    thorough: bool = True,
    grace_ms: int = 3_600_000,
    seed: int | None = None,
    **options: Any,
) -> Compactor:
    """By the clock, disk and fail points of ``lake``."""
    environment = Environment(clock=lake.clock, disk=lake.disk, fail=lake.fail, random=random.Random(seed))
    rules = Rules(below, to, min_files, thorough)
    file_format = ParquetFormat(ParquetSettings(**({"url": "lake"} | lake.settings)))
    return Compactor(store_of(lake), owner, rules, file_format, environment, grace_ms=grace_ms, **options)


def compact(lake: Lake, **options: Any) -> Result:
    """One run, without problems."""
    result = compactor(lake, **options).run()
    assert result.problems == []
    return result


def hidden(lake: Lake) -> list[str]:
    """Names of the files that were merged and are still kept."""
    return sorted(path.name for path in lake.root.rglob("*.old"))


def ids(lake: Lake) -> list[int]:
    """What a reader who globs sees of the column ``id``, by file names in their order."""
    return [number for file in lake.files() for number in pq.ParquetFile(file).read()["id"].to_pylist()]
