"""Running pipelines whole: what is left when a run has ended."""

from __future__ import annotations

from pathlib import Path

from hubs import open_hub

from ingest.environment import Environment
from ingest.pipelines.loader import load
from ingest.pipelines.runner import Runner

PIPELINE = """\
name: p
hub: ./data
topics:
  events: {config: {segment.bytes: 16384, retention.ms: 1}}
sources:
  - {name: in, type: generator, kind: json, count: 2000, topic: events, max_batch: 16KiB}
sinks:
  - {name: lake, type: parquet, topics: [events], url: ./lake}
"""


def test_a_run_until_caught_up_does_what_a_hub_that_stays_open_would_do_later(tmp_path: Path) -> None:
    """Else the data of a hub that is only ever opened for seconds would grow for ever."""
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    (outcome,) = Runner([load(tmp_path / "pipeline.yaml")], Environment(), until_caught_up=True).run()
    assert (outcome.state, outcome.records) == ("done", 2000)
    hub = open_hub(tmp_path / "data")
    assert hub.start_offset("events", 0) > 1000
    hub.close()


def test_a_worker_that_breaks_down_has_failed(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(PIPELINE.replace("topics: [events]", "topics: [nobody-writes-this]"))

    def report(said: str) -> None:
        raise BrokenPipeError("nobody listens")

    (outcome,) = Runner([load(tmp_path / "pipeline.yaml")], Environment(), until_caught_up=True, report=report).run()
    assert (outcome.state, outcome.exit_code, outcome.task) == ("failed", 1, "p")
    assert isinstance(outcome.error, BrokenPipeError)
