"""What of the Airflow provider is to be had without Airflow."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from ingest.errors import MissingDependency
from ingest.pipelines.airflow.progress_log import ProgressLog
from ingest.pipelines.airflow.provider import get_provider_info


@pytest.mark.skipif(importlib.util.find_spec("airflow") is not None, reason="Airflow is installed here")
def test_without_airflow_the_error_names_the_extra() -> None:
    with pytest.raises(MissingDependency) as caught:
        from ingest.pipelines.airflow import RunPipelineOperator  # noqa: F401
    assert caught.value.hint == "pip install 'ingest[airflow]'"


def test_a_name_that_is_none_of_the_providers_is_an_attribute_error() -> None:
    import ingest.pipelines.airflow as provider

    with pytest.raises(AttributeError):
        _ = provider.NoSuchOperator


def test_the_description_is_had_without_importing_anything_heavy() -> None:
    code = (
        "from ingest.pipelines.airflow.provider import get_provider_info; get_provider_info(); import sys; "
        "print([name for name in ('airflow', 'pyarrow', 'numpy', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_class_path_of_the_description_is_there() -> None:
    info = get_provider_info()
    modules = [
        name
        for part in ("operators", "sensors", "hooks", "triggers")
        for item in info[part]
        for name in item["python-modules"]
    ]
    modules += [item["hook-class-name"].rpartition(".")[0] for item in info["connection-types"]]
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []


def test_progress_is_said_at_intervals_and_at_no_other_time() -> None:
    said: list[str] = []
    now = 0.0
    task = {
        "task": "sink lake",
        "state": "running",
        "records": 1200,
        "records_per_second": 99.7,
        "commits": 3,
        "dead_letters": 1,
        "lag": {"records": 40, "ms": 200},
        "last_error": None,
    }
    status: dict[str, Any] | None = None
    progress = ProgressLog(lambda: status, said.append, timedelta(seconds=10), clock=lambda: now)
    now = 9.9
    progress.tick()
    now = 10.0
    progress.tick()
    assert said == [], "nothing runs yet"
    status = {"tasks": [task]}
    now = 20.0
    progress.tick()
    progress.tick()
    assert said == [
        "sink lake: running, 1200 records, 100 a second, 3 commits, 1 dead letters, behind by 40 records, 200 ms"
    ]
