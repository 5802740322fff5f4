"""The life of the Parquet sink: that of a sink of files, and compaction beside it where that is asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ingest.connectors import SinkContext, Standing
from ingest.environment import Environment
from ingest.sinks.lake.names import owner_name
from ingest.sinks.lake.task import LakeTask
from ingest.sinks.parquet.compaction.background import BackgroundCompaction
from ingest.sinks.parquet.compaction.compactor import Compactor, Result
from ingest.sinks.parquet.compaction.settings import CompactSettings
from ingest.sinks.parquet.file_format import ParquetFormat
from ingest.sinks.parquet.settings import ParquetSettings


class ParquetTask(LakeTask):
    """See ``LakeTask``."""

    def __init__(self, settings: ParquetSettings) -> None:
        super().__init__(settings, ParquetFormat(settings))
        self._parquet = settings
        self._compaction: BackgroundCompaction | None = None

    def open(self, context: SinkContext) -> Standing:
        standing = super().open(context)
        compact = self._parquet.compact
        if compact is not None:
            self._compaction = BackgroundCompaction(
                lambda stopping: self._run(context, compact, stopping),
                compact.every,
                context.environment.clock,
                context.report,
            )
            self._compaction.start()
        return standing

    def close(self) -> None:
        if self._compaction is not None:
            self._compaction.stop()
            self._compaction = None
        super().close()

    def _run(self, context: SinkContext, compact: CompactSettings, stopping: threading.Event) -> Callable[[], Result]:
        owner = owner_name(context.pipeline, context.name)
        environment: Environment = context.environment
        return Compactor.of_sink(self._parquet, compact, owner, context.base_folder, environment, stopping=stopping).run
