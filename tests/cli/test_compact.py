"""``ingest compact``, as a user types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from compacting import hidden, ids
from lake import Lake, numbers

from ingest.cli.main import main

PIPELINE = """
name: site
sources: [{name: made, type: generator, topic: events, kind: rows}]
sinks:
  - {name: lake, type: parquet, topics: [events], url: ./lake, compact: {below: 1MiB, to: 1MiB}}
"""


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.chdir(tmp_path)
    lake = Lake(tmp_path)
    task = lake.open(partition_by=["part"])
    for start in range(0, 40, 10):
        lake.write(task, start, [{"id": number, "part": number % 2} for number in range(start, start + 10)])
    return lake


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_table_is_merged_and_each_merge_is_a_line(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compact", "./lake", "--json"]) == 0
    out = capsys.readouterr()
    merges = lines(out.out)
    assert [(row["folder"], row["files"], row["rows"], row["sink"]) for row in merges] == [
        ("part=0", 4, 20, "site~lake"),
        ("part=1", 4, 20, "site~lake"),
    ]
    assert all((lake.root / str(row["into"])).stat().st_size == row["into_bytes"] for row in merges)
    assert "8 files became 2" in out.err
    assert sorted(ids(lake)) == list(range(40))


def test_a_plan_changes_nothing_and_says_what_would_be(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compact", "lake", "--plan"]) == 0
    assert "part=1" in capsys.readouterr().out
    assert len(lake.files()) == 8
    assert main(["compact", "lake", "--plan", "--min-files", "5", "--json"]) == 0
    assert capsys.readouterr().out == ""


def test_a_pipeline_file_names_its_tables_and_their_settings(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    Path("pipeline.yaml").write_text(PIPELINE)
    assert main(["compact", "pipeline.yaml", "--grace", "0s"]) == 0
    assert len(lake.files()) == 2
    assert hidden(lake) == []
    assert main(["check", "lake"]) == 0


def test_hidden_files_are_removed_when_their_grace_is_over(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compact", "lake"]) == 0
    assert main(["compact", "lake", "--vacuum"]) == 0
    assert len(hidden(lake)) == 8
    assert main(["compact", "lake", "--vacuum", "--grace", "0s"]) == 0
    assert hidden(lake) == []


def test_a_damaged_file_is_an_error_and_the_others_are_merged(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    victim = lake.files()[0]
    victim.write_bytes(victim.read_bytes()[:-9] + b"x" * 9)
    assert main(["compact", "lake"]) == 1
    assert str(victim.name) in capsys.readouterr().err
    assert len(lake.files()) == 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "no lake table"),
        (["lake", "--sink", "other"], "sinks there: lake"),
        (["lake", "--below", "many"], "not a size"),
        (["lake", "--below", "2MiB", "--to", "1MiB"], "cannot be smaller"),
        (["lake", "--every", "soon"], "not a duration"),
        (["lake", "--min-files", "1"], "min-files"),
    ],
)
def test_mistakes_on_the_command_line_are_named(
    lake: Lake, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["compact", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert len(lake.files()) == 8


def test_with_every_it_goes_on_until_it_is_stopped(lake: Lake) -> None:
    command = [sys.executable, "-m", "ingest", "compact", "lake", "--every", "50ms", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        assert json.loads(process.stdout.readline())["files"] == 4
        assert json.loads(process.stdout.readline())["files"] == 4
        task = lake.open(epoch=2)
        lake.write(task, 40, numbers(40, 50))
        lake.write(task, 50, numbers(50, 60))
        assert json.loads(process.stdout.readline())["rows"] == 20
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
