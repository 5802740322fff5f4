"""Every template is a pipeline that runs, passes its own tests, and fits the published schema."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from ingest.cli.main import main
from ingest.pipelines.document import read_document
from ingest.pipelines.json_schema import pipeline_schema

TEMPLATES = Path(__file__).parents[2] / "pipelines" / "templates"
NAMES = sorted(path.parent.name for path in TEMPLATES.glob("*/pipeline.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_a_template_runs_until_caught_up_and_writes_parquet(name: str, tmp_path: Path) -> None:
    assert main(["init", str(tmp_path / "x"), "--template", name]) == 0
    pipeline = str(tmp_path / "x" / "pipeline.yaml")
    assert main(["validate", pipeline, "--connect"]) == 0
    assert main(["preview", pipeline]) == 0
    assert main(["test", pipeline]) == 0
    assert main(["run", pipeline, "--until-caught-up", "--quiet"]) == 0
    assert list((tmp_path / "x").rglob("*.parquet"))


@pytest.mark.parametrize("name", NAMES)
def test_a_template_fits_the_json_schema(name: str) -> None:
    jsonschema.Draft202012Validator(pipeline_schema()).validate(read_document(TEMPLATES / name / "pipeline.yaml").value)


def test_init_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pipeline.yaml").write_text("mine")
    assert main(["init", str(tmp_path)]) == 2
    assert (tmp_path / "pipeline.yaml").read_text() == "mine"
    assert "already there" in capsys.readouterr().err


def test_an_unknown_template_names_those_that_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path), "--template", "nope"]) == 2
    said = capsys.readouterr().err
    assert all(name in said for name in NAMES)
