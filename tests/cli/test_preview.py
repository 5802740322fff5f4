"""``ingest preview``: what is refused is shown, or counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ingest.cli.main import main

PIPELINE = """
name: p
sources:
  - {name: s, type: file, paths: [x.log], topic: t}
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    path = tmp_path / "pipeline.yaml"
    path.write_text(PIPELINE)
    return path


def test_refused_lines_beyond_those_shown_are_counted(pipeline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pipeline.parent / "x.log").write_bytes(b"bad \xff\n" * 50 + b"good\n")
    assert main(["preview", str(pipeline)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "== s, as it comes: 1 rows, 50 refused"
    assert len([line for line in lines if "not valid utf-8" in line]) == 20
    assert any(line.startswith("refused: 30 more") for line in lines)
    assert main(["preview", str(pipeline), "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len([item for item in found if "refused" in item]) == 20
    assert found[-1] == {"source": "s", "step": 0, "refused_more": 30}


def test_few_refused_lines_are_all_shown(pipeline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pipeline.parent / "x.log").write_bytes(b"bad \xff\n" * 20 + b"good\n")
    assert main(["preview", str(pipeline)]) == 0
    out = capsys.readouterr().out
    assert out.count("not valid utf-8") == 20
    assert "more" not in out


def test_a_file_of_nothing_but_bad_lines_is_not_read_to_its_end(
    pipeline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pipeline.parent / "x.log").write_bytes(b"bad \xff\n" * 400_000 + b"good\n")
    assert main(["preview", str(pipeline)]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert "0 rows" in first
    assert 10_000 <= int(first.split()[-2]) < 100_000
