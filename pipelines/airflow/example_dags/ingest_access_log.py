"""Every ten minutes, what a web server has logged since goes to the lake; then a query counts it.

Hub and lake lie under the folder that `INGEST_EXAMPLE_HOME` names, `~/ingest-example` unless it is set; the log is read
from `access.log` there.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, AssetAlias, task

from ingest.pipelines.airflow import RunPipelineOperator

HOME = Path(os.environ.get("INGEST_EXAMPLE_HOME", Path.home() / "ingest-example"))

with DAG(
    "ingest_access_log",
    schedule=timedelta(minutes=10),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=10)},
    tags=["ingest", "example"],
    doc_md=__doc__,
):
    deliver = RunPipelineOperator(
        task_id="deliver",
        base_folder=str(HOME),
        pipeline={
            "name": "access-log",
            "hub": "./data",
            "sources": [
                {
                    "name": "web",
                    "type": "file",
                    "paths": ["./access.log*"],
                    "topic": "access",
                    "transforms": [{"type": "parse", "format": "combined"}],
                }
            ],
            "sinks": [
                {
                    "name": "lake",
                    "type": "parquet",
                    "topics": ["access"],
                    "url": "./lake/access",
                    "partition_by": ["day(time)"],
                }
            ],
        },
        outlets=[AssetAlias("access-log/lake")],
    )

    @task
    def tell(result: dict[str, Any]) -> str:
        """What the task before has delivered."""
        lake = result["sinks"]["lake"]
        return f"{lake['rows']} rows in {lake['files']} files"

    tell(deliver.output)
