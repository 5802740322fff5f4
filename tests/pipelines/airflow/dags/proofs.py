"""The DAGs that ``test_standalone`` runs."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG, Asset, AssetAlias

from ingest.pipelines.airflow import LagSensor, OffsetSensor, RunPipelineOperator

HOME = Path(os.environ["INGEST_PROOFS_HOME"])
COMMON = {
    "start_date": datetime(2026, 1, 1),
    "schedule": None,
    "catchup": False,
    "default_args": {"retries": 2, "retry_delay": timedelta(seconds=1)},
}


def lake(topic: str, **more: object) -> dict[str, object]:
    """A sink that commits often."""
    return {"name": "lake", "type": "parquet", "topics": [topic], "url": "./lake", "roll": {"rows": 1000}, **more}


def made_up(count: int, **more: object) -> dict[str, object]:
    """A source of numbered rows."""
    return {"name": "made", "type": "generator", "kind": "rows", "count": count, "topic": "made", **more}


with DAG("killed", **COMMON):
    RunPipelineOperator(
        task_id="deliver",
        base_folder=str(HOME / "killed"),
        pipeline={"name": "killed", "hub": "./data", "sources": [made_up(1_500_000)], "sinks": [lake("made")]},
        outlets=[AssetAlias("killed/lake"), Asset("killed-lake")],
    )

with DAG("stopped", **COMMON):
    RunPipelineOperator(
        task_id="deliver",
        retries=0,
        base_folder=str(HOME / "stopped"),
        pipeline={
            "name": "stopped",
            "hub": "./data",
            "sources": [made_up(9_000_000, rate=500)],
            "sinks": [lake("made")],
        },
        progress_every=timedelta(seconds=1),
    )

with DAG("crowd", **COMMON):
    RunPipelineOperator.partial(
        task_id="deliver",
        base_folder=str(HOME / "crowd"),
        pipeline={"name": "crowd", "hub": "./data", "sources": [made_up(30_000)], "sinks": [lake("made")]},
    ).expand(variables=[{"PART": str(part)} for part in range(3)])

with DAG("patient", **COMMON):
    arrived = OffsetSensor(task_id="arrived", hub=str(HOME / "patient" / "data"), topic="events", offset=3)
    deliver = RunPipelineOperator(
        task_id="deliver",
        base_folder=str(HOME / "patient"),
        pipeline={"name": "patient", "hub": "./data", "sinks": [lake("events")]},
    )
    arrived >> deliver >> LagSensor(task_id="level", conn_id="ingest_patient", group="patient.lake")
