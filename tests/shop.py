"""A small pipeline that has run: what tests of the commands look at."""

from __future__ import annotations

from pathlib import Path

from ingest.cli.main import main

PIPELINE = """\
name: shop
hub: ./data
sources:
  - name: web
    type: file
    paths: [events.jsonl]
    topic: events
    transforms:
      - type: parse
        format: json
sinks:
  - name: lake
    type: parquet
    topics: [events]
    url: ./lake
"""
LINES = ['{"user_id": 1, "name": "Zoë", "price": 1.5}', '{"user_id": 2, "name": null, "price": 2.5}', "no event"]


def write_shop(folder: Path) -> Path:
    """The pipeline's file, beside its input."""
    (folder / "events.jsonl").write_text("\n".join(LINES) + "\n", encoding="utf-8")
    path = folder / "pipeline.yaml"
    path.write_text(PIPELINE)
    return path


def run_shop(folder: Path) -> Path:
    """The same after a run: two rows in the lake, one dead letter."""
    path = write_shop(folder)
    assert main(["run", str(path), "--until-caught-up", "--quiet"]) == 0
    return path
