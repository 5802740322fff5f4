"""A pipeline as a task: each task instance delivers a range of its own, once, however often it is tried."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ingest.pipelines.airflow.asset_events import note_events
from ingest.pipelines.airflow.pipeline_operator import PipelineOperator
from ingest.pipelines.airflow.progress_log import ProgressLog
from ingest.pipelines.loader import Pipeline
from ingest.pipelines.range_run import RangeResult, RangeRun

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

_SWITCH_INTERVAL_S = 0.0005
"""A thread that runs Python must hand over soon: the log's syncer and the sinks wait for it."""
_STOP_MS = 4_000
"""Airflow kills a task five seconds after it has asked it to end."""


class RunPipelineOperator(PipelineOperator):
    """Runs a pipeline until it has caught up.

    Its sources are drained into the hub; then the task claims what nobody has claimed before it, and the sinks
    deliver that. A retry goes on where the attempt before it stood. A task that has succeeded and is cleared finds
    its claim finished, and changes nothing. Tasks on one embedded hub wait for each other.

    Parameters are those of ``PipelineOperator``, and:

    :param wait: how long to wait for another task, or another program, to leave the hub.
    :param progress_every: how often figures go to the task's log.

    Outlets: an ``AssetAlias`` gets an event for each commit of a sink, an ``Asset`` one for the task.
    The result (XCom) tells the claimed offsets, rows, files and commits of each sink.
    """

    def __init__(
        self,
        *,
        wait: timedelta = timedelta(hours=1),
        progress_every: timedelta = timedelta(seconds=30),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wait = wait
        self.progress_every = progress_every
        self._range_run: RangeRun | None = None
        self._lineage: tuple[Pipeline, RangeResult] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """See the class."""
        pipeline = self.load()
        run = self._range_run = RangeRun(
            pipeline,
            run_name(context),
            wait_ms=int(self.wait.total_seconds() * 1000),
            stop_ms=_STOP_MS,
            report=self.log.info,
        )
        progress = ProgressLog(run.status, self.log.info, self.progress_every)
        before = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        try:
            result = run.run(progress.tick)
        finally:
            sys.setswitchinterval(before)
        self._lineage = pipeline, result
        note_events(context, self.outlets, pipeline, result)
        return result.as_dict()

    def on_kill(self) -> None:
        """Called in the middle of ``execute`` by a signal, or after a timeout: what is pending is committed."""
        if self._range_run is not None:
            self._range_run.stop()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage:
        """Called by the OpenLineage provider where it is installed."""
        from ingest.pipelines.airflow.lineage import lineage

        return lineage(self._lineage)


def run_name(context: Context) -> str:
    """The same at each attempt of one task instance, and no other's."""
    ti = context["ti"]
    return json.dumps([ti.dag_id, ti.task_id, ti.run_id, ti.map_index if ti.map_index is not None else -1])
