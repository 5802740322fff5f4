"""``ingest check TABLE --data HUB``: every record of each commit is accounted for."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingest.cli.main import main
from ingest.hub.embedded import EmbeddedHub
from ingest.sinks.lake import manifest

PIPELINE = """
name: site
hub: ./data
topics:
  rows: {{format: {format}, partitions: 2}}
sources:
  - {{name: log, type: file, paths: [./lines.jsonl], topic: rows, transforms: [{{type: parse, format: json}}]}}
sinks:
  - name: lake
    type: parquet
    topics: [rows]
    url: ./lake
    roll: {{rows: 300}}
    transforms:
      - {{type: filter, where: "id % 3 <> 0"}}
      - {{type: cast, columns: {{text: int64}}}}
errors: {{tolerance: dead-letter, topic: dead}}
"""


@pytest.fixture(params=["json", "arrow"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pipeline that has run: of 1000 records a third is filtered out, and every tenth is refused."""
    monkeypatch.chdir(tmp_path)
    Path("lines.jsonl").write_text(
        "".join(json.dumps({"id": n, "text": "x" if n % 10 == 0 else str(n)}) + "\n" for n in range(1000))
    )
    Path("pipeline.yaml").write_text(PIPELINE.format(format=request.param))
    assert main(["run", "pipeline.yaml", "--until-caught-up", "--quiet"]) == 0
    return tmp_path


def check(capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, Any]]]:
    capsys.readouterr()
    code = main(["check", "lake", "--data", "data", "--json"])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def change_last_commit(change: Callable[[manifest.Entry], manifest.Entry]) -> None:
    path = max(Path("lake").glob("_ingest/site~lake/0*/*.json"))
    path.write_bytes(manifest.encode(change(manifest.decode(path.read_bytes(), str(path)))))


def test_a_table_that_has_everything_once_has_no_findings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(capsys) == (0, [])


def test_merging_its_files_changes_nothing_of_that(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compact", "lake"]) == 0
    assert check(capsys) == (0, [])


def test_rows_that_are_not_accounted_for_are_an_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fewer(entry: manifest.Entry) -> manifest.Entry:
        first, *rest = entry.ranges
        return replace(entry, ranges=(replace(first, filtered=first.filtered - 1), *rest))

    change_last_commit(fewer)
    code, findings = check(capsys)
    assert code == 1
    assert ["in the hub, and the commit wrote" in finding["problem"] for finding in findings] == [True]


def test_a_table_of_another_hub_is_an_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change_last_commit(lambda entry: replace(entry, hub_id="another"))
    code, findings = check(capsys)
    assert code == 1
    assert "written from the hub another" in findings[0]["problem"]


def test_a_table_that_is_ahead_of_its_hub_is_an_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def ahead(entry: manifest.Entry) -> manifest.Entry:
        ranges = tuple(replace(part, end=part.end + 5) for part in entry.ranges)
        return replace(entry, ranges=ranges, offsets={place: end + 5 for place, end in entry.offsets.items()})

    change_last_commit(ahead)
    code, findings = check(capsys)
    assert code == 1
    assert "and the hub ends at" in findings[0]["problem"]


def test_what_the_hub_has_let_go_of_is_told_and_is_no_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(EmbeddedHub.open(folder / "data")) as hub:
        for partition in range(2):
            if hub.end_offset("rows", partition):
                hub.delete_records("rows", partition, 1)
    code, findings = check(capsys)
    assert code == 0
    assert [(finding["severity"], "has let go" in finding["problem"]) for finding in findings] == [("warning", True)]
