"""The small files of a pipeline's Parquet tables merged into large ones, as a task."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from ingest.environment import Environment
from ingest.errors import RunStopped
from ingest.pipelines.airflow.pipeline_operator import PipelineOperator
from ingest.pipelines.loader import Pipeline
from ingest.runtime.plan import SinkPlan
from ingest.sinks.lake.names import owner_name
from ingest.sinks.parquet.compaction.compactor import Compactor, Merged
from ingest.sinks.parquet.compaction.settings import CompactSettings
from ingest.sinks.parquet.connector import ParquetSink

if TYPE_CHECKING:
    from airflow.sdk import Context


class CompactOperator(PipelineOperator):
    """Merges what the pipeline's Parquet sinks have written, by their setting ``compact``, or whatever can be merged.

    It needs no hub and waits for nobody: sinks may write and others read meanwhile. What an attempt has merged
    stays merged; the next one goes on.

    Parameters are those of ``PipelineOperator``, and:

    :param sink: only this sink's files; those of all Parquet sinks unless given. (templated)
    :param newest_schema: also write files anew that lack columns, or types, of today.

    The result (XCom) counts, by sink, the files merged, those they became, and hidden ones that were removed.
    """

    template_fields = (*PipelineOperator.template_fields, "sink")

    def __init__(self, *, sink: str | None = None, newest_schema: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sink = sink
        self.newest_schema = newest_schema
        self._stopping = threading.Event()

    def execute(self, context: Context) -> dict[str, dict[str, int]]:
        """See the class."""
        pipeline = self.load()
        sinks = list(self._sinks(pipeline))
        if not sinks:
            named = f" named {self.sink}" if self.sink else ""
            raise AirflowFailException(f"the pipeline {pipeline.plan.pipeline} has no Parquet sink{named}")
        return {sink.name: self._compact(pipeline, sink) for sink in sinks}

    def on_kill(self) -> None:
        """Called in the middle of ``execute``: it ends after the merge that it is at."""
        self._stopping.set()

    def _sinks(self, pipeline: Pipeline) -> Iterator[SinkPlan]:
        for sink in pipeline.plan.sinks:
            if isinstance(sink.connector, ParquetSink) and self.sink in (None, sink.name):
                yield sink

    def _compact(self, pipeline: Pipeline, sink: SinkPlan) -> dict[str, int]:
        assert isinstance(sink.connector, ParquetSink)
        settings = sink.connector.settings
        result = Compactor.of_sink(
            settings,
            settings.compact or CompactSettings(min_files=2),
            owner_name(pipeline.plan.pipeline, sink.name),
            pipeline.plan.base_folder,
            Environment(),
            thorough=True,
            newest_schema=self.newest_schema,
            stopping=self._stopping,
            progress=self._tell,
        ).run()
        for problem in result.problems:
            self.log.error("%s", problem)
        if result.problems:
            raise result.problems[0]
        if result.interrupted:
            raise RunStopped(
                "the compaction was stopped", hint="what was merged stays merged: the next attempt goes on"
            )
        merged = sum(len(done.merge.files) for done in result.merged)
        return {"files": merged, "into": len(result.merged), "removed": len(result.removed)}

    def _tell(self, merged: Merged) -> None:
        self.log.info("%d files became %s", len(merged.merge.files), merged.into.stored.path)
