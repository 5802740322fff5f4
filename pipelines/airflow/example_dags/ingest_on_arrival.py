"""Runs when orders arrive in a topic, waits until the sink has caught up, and starts what is scheduled by the lake.

Applications produce into the hub, for example with `ingest produce orders`; the hub lies under the folder that
`INGEST_EXAMPLE_HOME` names, `~/ingest-example` unless it is set.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from airflow.sdk import DAG, Asset, AssetAlias, AssetWatcher, task

from ingest.pipelines.airflow import LagSensor, RunPipelineOperator, TopicTrigger

HOME = Path(os.environ.get("INGEST_EXAMPLE_HOME", Path.home() / "ingest-example"))
HUB = str(HOME / "orders-data")

arrived = Asset(
    "orders-arrived",
    watchers=[
        AssetWatcher(name="orders", trigger=TopicTrigger(hub=HUB, topics=["orders"], group="orders.lake", every_s=2))
    ],
)

with DAG("ingest_on_arrival", schedule=[arrived], catchup=False, max_active_runs=1, tags=["ingest", "example"]):
    deliver = RunPipelineOperator(
        task_id="deliver",
        pipeline={
            "name": "orders",
            "hub": HUB,
            "sinks": [{"name": "lake", "type": "parquet", "topics": ["orders"], "url": str(HOME / "lake" / "orders")}],
        },
        outlets=[AssetAlias("orders/lake")],
    )
    deliver >> LagSensor(task_id="caught_up", hub=HUB, group="orders.lake", records=1000, timeout=600)

with DAG(
    "ingest_orders_report",
    schedule=[AssetAlias("orders/lake")],
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["ingest", "example"],
):

    @task
    def report(triggering_asset_events: dict | None = None) -> int:  # type: ignore[type-arg]
        """How many rows the commits brought that this run was started for."""
        events = [event for found in (triggering_asset_events or {}).values() for event in found]
        commits = {(event.extra["sink"], event.extra["commit"]): event.extra["rows"] for event in events}
        return sum(commits.values())

    report()
