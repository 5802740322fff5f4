"""A pipeline as a task: each task instance delivers a range of its own, once, however often it is tried."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from ingest.errors import ConfigError
from ingest.pipelines.airflow.asset_events import note_events
from ingest.pipelines.airflow.hook import IngestHook
from ingest.pipelines.airflow.progress_log import ProgressLog
from ingest.pipelines.loader import Pipeline, load, load_mapping
from ingest.pipelines.range_run import RangeResult, RangeRun

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

_SWITCH_INTERVAL_S = 0.0005
"""A thread that runs Python must hand over soon: the log's syncer and the sinks wait for it."""
_STOP_MS = 4_000
"""Airflow kills a task five seconds after it has asked it to end."""


class RunPipelineOperator(BaseOperator):
    """Runs a pipeline until it has caught up.

    Its sources are drained into the hub; then the task claims what nobody has claimed before it, and the sinks
    deliver that. A retry goes on where the attempt before it stood. A task that has succeeded and is cleared finds
    its claim finished, and changes nothing. Tasks on one embedded hub wait for each other.

    :param pipeline: a pipeline file, relative to the DAG's file, or a pipeline as a mapping. (templated)
    :param variables: what ``${NAME}`` in the pipeline stands for; they go over the connection's, and those over the
        environment. (templated)
    :param hub: the hub's folder, in place of the one in the pipeline. (templated)
    :param conn_id: a connection of type ``ingest``, for its hub and its variables.
    :param base_folder: where relative paths of a mapping start: the folder of the DAG's file unless given. (templated)
    :param wait: how long to wait for another task, or another program, to leave the hub.
    :param progress_every: how often figures go to the task's log.

    Outlets: an ``AssetAlias`` gets an event for each commit of a sink, an ``Asset`` one for the task.
    The result (XCom) tells the claimed offsets, rows, files and commits of each sink.
    """

    template_fields: Sequence[str] = ("pipeline", "variables", "hub", "base_folder")
    template_fields_renderers = {"pipeline": "yaml", "variables": "json"}
    ui_color = "#dcecf5"

    def __init__(
        self,
        *,
        pipeline: str | os.PathLike[str] | Mapping[str, Any],
        variables: Mapping[str, str] | None = None,
        hub: str | None = None,
        conn_id: str | None = None,
        base_folder: str | None = None,
        wait: timedelta = timedelta(hours=1),
        progress_every: timedelta = timedelta(seconds=30),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pipeline = pipeline
        self.variables = variables
        self.hub = hub
        self.conn_id = conn_id
        self.base_folder = base_folder
        self.wait = wait
        self.progress_every = progress_every
        self._run: RangeRun | None = None
        self._lineage: tuple[Pipeline, RangeResult] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """See the class."""
        try:
            pipeline = self._load()
        except ConfigError as error:
            raise AirflowFailException(str(error)) from error  # another attempt would read the same
        run = RangeRun(
            pipeline,
            _run_name(context),
            wait_ms=int(self.wait.total_seconds() * 1000),
            stop_ms=_STOP_MS,
            report=self.log.info,
        )
        self._run = run
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
        if self._run is not None:
            self._run.stop()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage:
        """Called by the OpenLineage provider where it is installed."""
        from ingest.pipelines.airflow.lineage import lineage

        return lineage(self._lineage)

    def _load(self) -> Pipeline:
        hook = IngestHook(self.conn_id) if self.conn_id else None
        variables = {**os.environ, **(hook.variables if hook else {}), **(self.variables or {})}
        folder = Path(self.dag.fileloc).absolute().parent
        if isinstance(self.pipeline, Mapping):
            pipeline = load_mapping(self.pipeline, folder / (self.base_folder or ""), variables=variables)
        else:
            pipeline = load(folder / os.fspath(self.pipeline), variables=variables)
        hub = self.hub or (hook.hub if hook else None)
        return replace(pipeline, hub=str(folder / hub)) if hub else pipeline


def _run_name(context: Context) -> str:
    """The same at each attempt of one task instance, and no other's."""
    ti = context["ti"]
    return json.dumps([ti.dag_id, ti.task_id, ti.run_id, ti.map_index if ti.map_index is not None else -1])
