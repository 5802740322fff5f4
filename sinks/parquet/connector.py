"""The sink ``parquet``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from ingest.config import Settings
from ingest.connectors import SinkConnector, SinkTask
from ingest.environment import Environment
from ingest.sinks.lake.target import check_url, open_store
from ingest.sinks.parquet.settings import ParquetSettings


class ParquetSink(SinkConnector):
    """Writes typed columns to Parquet files, partitioned by value, each row exactly once.

    Files appear whole, by commits that are recorded in manifests under `_ingest/` of the target; the position
    in the topics is part of the manifest. Small files are merged by `compact`, or by the command of that name.
    Local folders, `hdfs://`, `webhdfs://`, `s3://`,
    `gs://`, `az://`, and other fsspec URLs.
    """

    Settings: ClassVar[type[Settings]] = ParquetSettings

    def __init__(self, settings: ParquetSettings) -> None:
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
        from ingest.sinks.parquet.task import ParquetTask

        return ParquetTask(self.settings)
