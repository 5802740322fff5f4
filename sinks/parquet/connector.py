"""The sink ``parquet``."""

from __future__ import annotations

from typing import ClassVar

from ingest.config import Settings
from ingest.connectors import SinkTask
from ingest.sinks.lake.connector import LakeSink
from ingest.sinks.parquet.settings import ParquetSettings


class ParquetSink(LakeSink):
    """Writes typed columns to Parquet files, partitioned by value, each row exactly once.

    Files appear whole, by commits that are recorded in manifests under `_ingest/` of the target; the position
    in the topics is part of the manifest. Small files are merged by `compact`, or by the command of that name.
    Local folders, `hdfs://`, `webhdfs://`, `s3://`, `gs://`, `az://`, and other fsspec URLs.
    """

    Settings: ClassVar[type[Settings]] = ParquetSettings

    settings: ParquetSettings

    def task(self) -> SinkTask:
        if self.settings.mode == "apply":
            from ingest.sinks.parquet.current.task import CurrentTask

            return CurrentTask(self.settings)
        from ingest.sinks.parquet.task import ParquetTask

        return ParquetTask(self.settings)
