"""What operators on a pipeline share: finding it, and filling in its variables."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from ingest.errors import ConfigError
from ingest.pipelines.airflow.hook import IngestHook
from ingest.pipelines.loader import Pipeline, load, load_mapping


class PipelineOperator(BaseOperator):
    """
    :param pipeline: a pipeline file, relative to the DAG's file, or a pipeline as a mapping. (templated)
    :param variables: what ``${NAME}`` in the pipeline stands for; they go over the connection's, and those over the
        environment. (templated)
    :param hub: the hub's folder, in place of the one in the pipeline. (templated)
    :param conn_id: a connection of type ``ingest``, for its hub and its variables.
    :param base_folder: where relative paths of a mapping start: the folder of the DAG's file unless given. (templated)
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pipeline = pipeline
        self.variables = variables
        self.hub = hub
        self.conn_id = conn_id
        self.base_folder = base_folder

    def load(self) -> Pipeline:
        """The pipeline, checked. A mistake in it fails the task for good: another attempt would read the same."""
        try:
            return self._load()
        except ConfigError as error:
            raise AirflowFailException(str(error)) from error

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
