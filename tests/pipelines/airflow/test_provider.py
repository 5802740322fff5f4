"""The provider as Airflow and a DAG's author see it, without a scheduler."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hubs import open_hub, records
from needs import needs

from ingest.connectors import TopicPartition
from ingest.errors import ConfigError
from ingest.pipelines.conditions import LagAtMost
from ingest.pipelines.loader import load_mapping
from ingest.pipelines.range_run import RangeRun

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "pipelines" / "airflow" / "example_dags"
LOG = ROOT / "pipelines" / "templates" / "access-log" / "access.log"


def airflow(*arguments: str, **settings: str) -> str:
    """What the program prints."""
    program = Path(sys.executable).with_name("airflow")
    environment = os.environ | {"AIRFLOW__CORE__DAGS_FOLDER": str(EXAMPLES)} | settings
    done = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_airflow_lists_the_provider_and_its_hook() -> None:
    assert "ingest" in {found["package_name"] for found in json.loads(airflow("providers", "list", "-o", "json"))}
    hooks = json.loads(airflow("providers", "hooks", "-o", "json"))
    found = next(hook for hook in hooks if hook["connection_type"] == "ingest")
    assert found["class"] == "ingest.pipelines.airflow.hook.IngestHook"


def test_the_example_runs_by_dags_test(airflow_home: Path) -> None:
    home = airflow_home / "example"
    home.mkdir()
    (home / "access.log").write_bytes(LOG.read_bytes())
    airflow("db", "migrate")
    said = airflow("dags", "test", "ingest_access_log")
    assert "rows in" in said
    assert list((home / "lake" / "access").rglob("*.parquet"))


def test_the_guides_dag_runs_as_it_stands(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "guides" / "airflow.md").read_text()
    dags, home = tmp_path / "dags", tmp_path / "home"
    dags.mkdir()
    home.mkdir()
    (dags / "shop.yaml").write_text(guide.split("```yaml\n")[1].split("```")[0])
    (dags / "shop.py").write_text(guide.split("```python\n")[1].split("```")[0])
    (home / "access.log").write_bytes(LOG.read_bytes())
    airflow("db", "migrate")
    said = airflow("dags", "test", "shop", AIRFLOW__CORE__DAGS_FOLDER=str(dags), AIRFLOW_VAR_SHOP=str(home))
    assert "2398 rows in" in said
    assert list((home / "lake").rglob("*.parquet"))


def test_the_rows_of_a_run_have_its_task_instance_for_a_name() -> None:
    from ingest.pipelines.airflow.run_operator import run_name

    class Instance:
        dag_id, task_id, run_id, map_index = "d", "t", "manual__1", 2

    assert run_name({"ti": Instance()}) == '["d", "t", "manual__1", 2]'  # type: ignore[arg-type]


def test_a_pipeline_that_cannot_be_right_is_not_tried_again(tmp_path: Path) -> None:
    from airflow.sdk import DAG
    from airflow.sdk.exceptions import AirflowFailException

    from ingest.pipelines.airflow import RunPipelineOperator

    with DAG("d"):
        operator = RunPipelineOperator(task_id="t", pipeline=str(tmp_path / "missing.yaml"))
    with pytest.raises(AirflowFailException, match="does not exist"):
        operator.execute({})


def test_variables_go_over_the_connections_and_those_over_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk import DAG

    from ingest.pipelines.airflow import RunPipelineOperator

    extra = {"hub": str(tmp_path / "hub"), "variables": json.dumps({"B": "connection", "C": "connection"})}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "ingest", "extra": extra}))
    for name in "ABC":
        monkeypatch.setenv(name, "environment")
    sink = {"name": "lake", "type": "parquet", "topics": ["t"], "url": "./${A}/${B}/${C}"}
    with DAG("d"):
        operator = RunPipelineOperator(
            task_id="t",
            conn_id="shop",
            base_folder=str(tmp_path),
            pipeline={"name": "p", "sinks": [sink]},
            variables={"C": "task"},
        )
    pipeline = operator.load()
    assert pipeline.spec.sinks[0]["url"] == "./environment/connection/task"
    assert pipeline.hub == str(tmp_path / "hub")


def test_small_files_of_a_pipelines_sink_become_one(tmp_path: Path) -> None:
    from airflow.sdk import DAG
    from airflow.sdk.exceptions import AirflowFailException

    from ingest.pipelines.airflow import CompactOperator

    pipeline = {
        "name": "p",
        "hub": "./data",
        "sinks": [{"name": "lake", "type": "parquet", "topics": ["t"], "url": "./lake"}],
    }
    for day in range(3):
        hub = open_hub(tmp_path / "data")
        if not day:
            hub.create_topic("t")
        hub.append(records('{"a": 1}'), 0).result()
        hub.close()
        RangeRun(load_mapping(pipeline, tmp_path), f"day {day}").run()
    with DAG("d"):
        operator = CompactOperator(task_id="t", pipeline=pipeline, base_folder=str(tmp_path))
        other = CompactOperator(task_id="o", pipeline=pipeline, base_folder=str(tmp_path), sink="other")
    assert len(list((tmp_path / "lake").glob("*.parquet"))) == 3
    assert operator.execute({}) == {"lake": {"files": 3, "into": 1, "removed": 0}}
    assert len(list((tmp_path / "lake").glob("*.parquet"))) == 1
    with pytest.raises(AirflowFailException, match="no Parquet sink named other"):
        other.execute({})


@pytest.mark.parametrize("wrong", ["no json", "[1]", '{"A": 1}'])
def test_variables_of_a_connection_that_are_no_texts_are_refused(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from ingest.pipelines.airflow import IngestHook

    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "ingest", "extra": {"variables": wrong}}))
    with pytest.raises(ConfigError, match="shop"):
        _ = IngestHook("shop").variables


def test_the_test_button_says_what_it_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ingest.pipelines.airflow import IngestHook

    extra = {"hub": str(tmp_path / "data")}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "ingest", "extra": extra}))
    found, told = IngestHook("shop").test_connection()
    assert (found, "no data folder" in told) == (False, True)
    hub = open_hub(tmp_path / "data")
    hub.create_topic("t")
    hub.close()
    assert IngestHook("shop").test_connection() == (True, f"hub {hub.id} with 1 topics")


def test_a_time_without_a_zone_is_refused(tmp_path: Path) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from ingest.pipelines.airflow import CompleteSensor

    sensor = CompleteSensor(
        task_id="s", hub=str(tmp_path), group="p.lake", topics=["t"], up_to=datetime(2026, 1, 1), lateness=timedelta(1)
    )
    with pytest.raises(AirflowFailException, match="time zone"):
        sensor.condition()
    sensor.up_to = "2026-01-01T00:00:00+01:00"
    assert sensor.condition().as_dict()["up_to_ms"] == datetime(2025, 12, 31, 23, tzinfo=UTC).timestamp() * 1000


def test_triggers_survive_being_written_down() -> None:
    from ingest.pipelines.airflow.condition_trigger import ConditionTrigger
    from ingest.pipelines.airflow.topic_trigger import TopicTrigger

    for trigger in (
        ConditionTrigger("/data", LagAtMost("p.lake", 5, ["t"]), every_s=2),
        TopicTrigger("/data", ["t"], group="p.lake", at_least=10),
    ):
        path, arguments = trigger.serialize()
        assert path == f"{type(trigger).__module__}.{type(trigger).__name__}"
        assert type(trigger)(**json.loads(json.dumps(arguments))).serialize() == (path, arguments)


class StoredState:
    """Airflow's store of one asset's state."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self._by_name = {"orders": self}

    async def aget(self, key: str) -> Any:
        return self.values.get(key)

    async def aset(self, key: str, value: Any) -> None:
        self.values[key] = value


def test_a_watcher_goes_on_where_another_triggerer_stood(tmp_path: Path) -> None:
    from ingest.pipelines.airflow import TopicTrigger

    def append(texts: str) -> None:
        hub = open_hub(tmp_path / "data")
        if not any(topic.name == "t" for topic in hub.topics()):
            hub.create_topic("t")
        hub.append(records(*texts), 0).result()
        hub.close()

    state = StoredState()

    async def next_events(count: int) -> list[Any]:
        trigger = TopicTrigger(str(tmp_path / "data"), ["t"], from_start=True, every_s=0.01)
        trigger.asset_state_store = state
        found: list[Any] = []
        async for event in trigger.run():
            if len(found) == count:
                return found
            found.append(event.payload["offsets"]["t"]["0"])
            append("x")
        return found

    append("abc")
    # the last event is not taken note of before the triggerer ends: so it comes again
    assert asyncio.run(next_events(2)) == [[0, 3], [3, 4]]
    assert asyncio.run(next_events(1)) == [[4, 5]]


def test_lineage_names_topics_and_targets_with_their_rows(tmp_path: Path) -> None:
    needs(_has("airflow.providers.openlineage"), "the OpenLineage provider")
    from ingest.pipelines.airflow.lineage import lineage

    hub = open_hub(tmp_path / "data")
    hub.create_topic("t")
    hub.append(records('{"a": 1}', '{"a": 2}'), 0).result()
    hub.close()
    sink = {"name": "lake", "type": "parquet", "topics": ["t"], "url": "./lake"}
    pipeline = load_mapping({"name": "p", "hub": "./data", "sinks": [sink]}, tmp_path)
    result = RangeRun(pipeline, "monday").run()
    assert result.claim.sinks["lake"][TopicPartition("t", 0)].end == 2
    found = lineage((pipeline, result))
    assert [(at.namespace, at.name) for at in found.inputs] == [(f"ingest://{tmp_path}/data", "t")]
    assert [(at.namespace, at.name) for at in found.outputs] == [("file", str(tmp_path / "lake"))]
    assert found.outputs[0].outputFacets["outputStatistics"].rowCount == 2
    assert lineage((pipeline, RangeRun(pipeline, "monday").run())).outputs == [], "a cleared run has written nothing"


def _has(module: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(module) is not None
