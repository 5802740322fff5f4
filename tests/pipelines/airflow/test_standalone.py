"""A whole Airflow, in which tasks are killed, cleared, stopped, crowded and woken by what arrives."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from airflow_standalone import Standalone

import ingest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
EXAMPLES = Path(__file__).parents[3] / "pipelines" / "airflow" / "example_dags"


@pytest.fixture(scope="module")
def proofs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the DAGs of the proofs keep their hubs and lakes."""
    return tmp_path_factory.mktemp("proofs")


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory, proofs: Path) -> Iterator[Standalone]:
    home, dags = tmp_path_factory.mktemp("standalone"), tmp_path_factory.mktemp("dags")
    (dags / "proofs.py").symlink_to(Path(__file__).parent / "dags" / "proofs.py")
    (dags / "ingest_on_arrival.py").symlink_to(EXAMPLES / "ingest_on_arrival.py")
    os.environ["INGEST_PROOFS_HOME"] = str(proofs)
    os.environ["INGEST_EXAMPLE_HOME"] = str(proofs / "example")
    os.environ["AIRFLOW_CONN_INGEST_PATIENT"] = json.dumps(
        {"conn_type": "ingest", "extra": {"hub": str(proofs / "patient" / "data")}}
    )
    for name in ("killed", "stopped", "crowd", "patient", "example"):
        (proofs / name).mkdir()
    running = Standalone(home, dags)
    try:
        running.wait_until_up()
        yield running
    finally:
        running.close()


def rows(lake: Path) -> list[int]:
    """The `id`s in the lake, in order, as a globbing reader finds them."""
    files = [pq.read_table(path, columns=["id"])["id"].to_pylist() for path in lake.glob("*.parquet")]
    return sorted(number for file in files for number in file)


def snapshot(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def produce(hub: Path, topic: str, count: int) -> None:
    client = ingest.connect(str(hub), wait_ms=30_000)
    if topic not in {found.name for found in client.hub.topics()}:
        client.create_topic(topic, format="json")
    with client.producer(topic) as producer:
        for number in range(count):
            producer.send({"id": number})
    client.close()


def holder(hub: Path) -> int | None:
    """The process that has the hub."""
    try:
        return int(json.loads((hub / ".lock").read_text())["pid"])
    except (OSError, ValueError, KeyError):
        return None


def test_the_connection_form_is_in_the_ui(airflow: Standalone) -> None:
    found = next(
        meta for meta in airflow.call("GET", "/ui/connections/hook_meta") if meta["connection_type"] == "ingest"
    )
    assert found["hook_name"] == "Ingest"
    assert set(found["extra_fields"]) == {"hub", "variables"}
    assert found["extra_fields"]["variables"]["schema"]["format"] == "password"


def test_a_task_that_is_killed_and_retried_delivers_each_row_once_and_cleared_changes_nothing(
    airflow: Standalone, proofs: Path
) -> None:
    place = proofs / "killed"
    run = airflow.trigger("killed")
    airflow.wait_for(lambda: len(list((place / "lake").glob("*.parquet"))) >= 2, "the first commits")
    pid = holder(place / "data")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    done = airflow.wait_for_task("killed", run, "deliver", "success")
    assert done["try_number"] > 1, "the kill came too late to prove anything"
    assert rows(place / "lake") == list(range(1_500_000))

    result = airflow.result("killed", run, "deliver")
    assert result["sinks"]["lake"]["rows"] == 1_500_000, "commits of the killed attempt are told of, too"
    events = airflow.call("GET", "/api/v2/assets/events?limit=1000")["asset_events"]
    mine = [
        event["extra"] for event in events if event["extra"].get("pipeline") == "killed" and "commit" in event["extra"]
    ]
    first, last = result["sinks"]["lake"]["commits"]
    assert sorted(extra["commit"] for extra in mine) == list(range(first, last + 1))
    assert sum(extra["rows"] for extra in mine) == 1_500_000
    assert all((place / "lake" / path).exists() for extra in mine for path in extra["paths"])

    before = snapshot(place / "lake")
    airflow.clear("killed", run, "deliver")
    again = airflow.wait_for(lambda: _succeeded_after(airflow, run, done["try_number"]), "the cleared task")
    assert again["state"] == "success"
    assert snapshot(place / "lake") == before
    assert airflow.result("killed", run, "deliver") == result | {"found_done": True, "records_in": 0}


def _succeeded_after(airflow: Standalone, run: str, attempt: int) -> dict[str, object] | None:
    found = airflow.task("killed", run, "deliver")
    return found if found["state"] == "success" and found["try_number"] > attempt else None


def test_a_task_that_is_marked_failed_leaves_the_hub_cleanly(airflow: Standalone, proofs: Path) -> None:
    data = proofs / "stopped" / "data"
    run = airflow.trigger("stopped")
    airflow.wait_for_task("stopped", run, "deliver", "running")
    airflow.wait_for(lambda: "source made: running" in airflow.log("stopped", "deliver"), "progress in the log")
    assert not (data / ".kafka_cleanshutdown").exists()
    at = f"/api/v2/dags/stopped/dagRuns/{run}/taskInstances/deliver"
    airflow.call("PATCH", at, {"new_state": "failed"})
    airflow.wait_for((data / ".kafka_cleanshutdown").exists, "a clean end", 30)
    assert holder(data) is None


def test_tasks_on_one_hub_wait_for_each_other(airflow: Standalone, proofs: Path) -> None:
    run = airflow.trigger("crowd")
    for part in range(3):
        airflow.wait_for_task("crowd", run, "deliver", "success", map_index=part)
    assert rows(proofs / "crowd" / "lake") == list(range(30_000))


def test_a_sensor_waits_in_the_triggerer_until_the_offset_is_there(airflow: Standalone, proofs: Path) -> None:
    run = airflow.trigger("patient")
    airflow.wait_for_task("patient", run, "arrived", "deferred")
    produce(proofs / "patient" / "data", "events", 3)
    airflow.wait_for_task("patient", run, "level", "success")
    assert airflow.result("patient", run, "arrived") == {"topic": "events", "offsets": {"0": 3}}
    assert airflow.result("patient", run, "level") == {"group": "patient.lake", "lag": 0}
    assert rows(proofs / "patient" / "lake") == [0, 1, 2]


def test_what_arrives_starts_a_dag_and_its_commits_start_another(airflow: Standalone, proofs: Path) -> None:
    """The example, as it is shipped."""
    produce(proofs / "example" / "orders-data", "orders", 50)
    first = airflow.wait_for(succeeded(airflow, "ingest_on_arrival"), "the DAG that delivers")
    assert rows(proofs / "example" / "lake" / "orders") == list(range(50))
    report = airflow.wait_for(succeeded(airflow, "ingest_orders_report"), "the DAG that reports")
    assert airflow.result("ingest_orders_report", report, "report") == 50
    produce(proofs / "example" / "orders-data", "orders", 5)
    airflow.wait_for(lambda: succeeded(airflow, "ingest_on_arrival", besides=first)(), "the next one")
    assert len(rows(proofs / "example" / "lake" / "orders")) == 55


def succeeded(airflow: Standalone, dag: str, besides: str = "") -> Callable[[], str | None]:
    def look() -> str | None:
        runs = airflow.call("GET", f"/api/v2/dags/{dag}/dagRuns?limit=100")["dag_runs"]
        assert not [run for run in runs if run["state"] == "failed"]
        done = [str(run["dag_run_id"]) for run in runs if run["state"] == "success"]
        return next((run for run in done if run != besides), None)

    return look
