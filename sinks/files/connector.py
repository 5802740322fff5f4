"""The sink ``files``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from ingest.config import Settings
from ingest.connectors import SinkConnector, SinkTask
from ingest.environment import Environment
from ingest.sinks.files.settings import FilesSettings
from ingest.sinks.lake.target import check_url, open_store


class FilesSink(SinkConnector):
    """Writes rows to JSON lines, CSV, text with Hive's delimiters, plain text or Avro files, each row exactly once.

    Files appear whole, by commits that are recorded in manifests under `_ingest/` of the target, as those of the
    sink `parquet` do. Local folders, `hdfs://`, `webhdfs://`, `s3://`,
    `gs://`, `az://`, and other fsspec URLs.
    """

    Settings: ClassVar[type[Settings]] = FilesSettings

    def __init__(self, settings: FilesSettings) -> None:
        check_url(settings.url, single_writer=settings.single_writer)
        self.settings = settings

    def check(self, base_folder: Path) -> None:
        """Reaches the place and looks whether it may be written to; changes nothing."""
        store = open_store(
            self.settings.url,
            base_folder,
            Environment(),
            storage_options=self.settings.storage_options,
            single_writer=self.settings.single_writer,
        )
        store.check()

    def task(self) -> SinkTask:
        from ingest.sinks.files.formats import file_format
        from ingest.sinks.lake.task import LakeTask

        return LakeTask(self.settings, file_format(self.settings))
