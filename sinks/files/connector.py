"""The sink ``files``."""

from __future__ import annotations

from typing import ClassVar

from ingest.config import Settings
from ingest.connectors import SinkTask
from ingest.sinks.files.settings import FilesSettings
from ingest.sinks.lake.connector import LakeSink


class FilesSink(LakeSink):
    """Writes rows to JSON lines, CSV, text with Hive's delimiters, plain text or Avro files, each row exactly once.

    Files appear whole, by commits that are recorded in manifests under `_ingest/` of the target, as those of the
    sink `parquet` do. Local folders, `hdfs://`, `webhdfs://`, `s3://`, `gs://`, `az://`, and other fsspec URLs.
    """

    Settings: ClassVar[type[Settings]] = FilesSettings

    settings: FilesSettings

    def task(self) -> SinkTask:
        from ingest.sinks.files.formats import file_format
        from ingest.sinks.lake.task import LakeTask

        return LakeTask(self.settings, file_format(self.settings))
