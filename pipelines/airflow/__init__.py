"""The Airflow provider: pipelines as tasks, sensors on a hub, schedules by what arrives in a topic.

Imported by users' DAGs and by Airflow itself, never by the rest of Ingest. Airflow comes with the extra ``airflow``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ingest.pipelines.airflow.compact_operator import CompactOperator
    from ingest.pipelines.airflow.hook import IngestHook
    from ingest.pipelines.airflow.run_operator import RunPipelineOperator
    from ingest.pipelines.airflow.sensors import CompleteSensor, LagSensor, OffsetSensor
    from ingest.pipelines.airflow.topic_trigger import TopicTrigger

_MODULES = {
    "CompactOperator": "compact_operator",
    "CompleteSensor": "sensors",
    "IngestHook": "hook",
    "LagSensor": "sensors",
    "OffsetSensor": "sensors",
    "RunPipelineOperator": "run_operator",
    "TopicTrigger": "topic_trigger",
}

__all__ = [
    "CompactOperator",
    "CompleteSensor",
    "IngestHook",
    "LagSensor",
    "OffsetSensor",
    "RunPipelineOperator",
    "TopicTrigger",
]


def __getattr__(name: str) -> Any:
    """Airflow takes seconds to import, and asks for the provider's description without needing any of these."""
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{module}"), name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "airflow":
            raise
        from ingest.errors import MissingDependency

        raise MissingDependency("Airflow is not installed here", hint="pip install 'ingest[airflow]'") from error
