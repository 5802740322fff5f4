"""A report of a day, made once all of that day's records are in the lake.

Another DAG, or `ingest run`, fills the lake; this one waits in the triggerer until each partition of the topic has
passed the end of the day and the sink has delivered what came before.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG, CronDataIntervalTimetable, task

from ingest.pipelines.airflow import CompleteSensor

HOME = Path(os.environ.get("INGEST_EXAMPLE_HOME", Path.home() / "ingest-example"))

with DAG(
    "ingest_daily_report",
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["ingest", "example"],
    doc_md=__doc__,
):
    complete = CompleteSensor(
        task_id="complete",
        hub=str(HOME / "data"),
        group="access-log.lake",
        topics=["access"],
        up_to="{{ data_interval_end }}",
        lateness=timedelta(minutes=10),
        idle=timedelta(hours=1),
        timeout=timedelta(hours=6).total_seconds(),
    )

    @task
    def report(day: str) -> str:
        """Reads the day's folder of the lake; here it only names it."""
        return f"day={day}"

    complete >> report("{{ data_interval_start | ds }}")
