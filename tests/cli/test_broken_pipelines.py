"""Pipeline files broken in every way: exit 78 with line and hint, never a stack trace."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.cli.main import main

GOOD = """\
name: access-logs
hub: ./data
sources:
  - name: web
    type: file
    paths: [access.log*]
    topic: access
    transforms:
      - type: parse
        format: combined
      - type: filter
        where: status >= 400
sinks:
  - name: lake
    type: parquet
    topics: [access]
    url: ./lake
    partition_by: ["day(timestamp)"]
"""

BROKEN = {
    "an unknown key at the top": (GOOD + "sorces: []\n", 19, "sorces"),
    "an unknown key of a source": (GOOD.replace("paths:", "pathz:"), 6, "paths"),
    "an unknown key of a transform": (GOOD.replace("where:", "were:"), 12, "where"),
    "an unknown key of a sink": (GOOD.replace("    url:", "    ulr:"), 17, "url"),
    "a wrong type": (GOOD.replace("paths: [access.log*]", "paths: {a: 1}"), 6, "paths"),
    "a number where text is needed": (GOOD.replace("name: access-logs", "name: [1]"), 1, "name"),
    "a missing setting": (GOOD.replace("    url: ./lake\n", ""), 14, "url"),
    "a missing type": (GOOD.replace("    type: file\n", ""), 4, "type"),
    "a missing name": (GOOD.replace("name: access-logs\n", ""), 1, "name"),
    "an unknown connector": (GOOD.replace("type: parquet", "type: parqet"), 15, "parquet"),
    "an unknown transform": (GOOD.replace("type: filter", "type: fliter"), 11, "filter"),
    "an unknown parse format": (GOOD.replace("format: combined", "format: combinde"), 10, "combined"),
    "bad SQL": (GOOD.replace("status >= 400", "status >= >= 400"), 12, "where"),
    "SQL that is no expression": (GOOD.replace("status >= 400", "1; DROP TABLE x"), 12, "where"),
    "a bad partition": (GOOD.replace("day(timestamp)", "dya(timestamp)"), 18, "day"),
    "a bad topic setting": (GOOD + "topics: {access: {partitions: 0}}\n", 19, "partitions"),
    "a bad tolerance": (GOOD + "errors: {tolerance: skip}\n", 19, "tolerance"),
    "a name used twice": (GOOD.replace("sinks:", "  - {name: web, type: generator, topic: x}\nsinks:"), 13, "twice"),
    "streams": (GOOD + "streams: [{name: x}]\n", 19, "streams"),
    "an unset variable": (GOOD.replace("./lake", "${NOT_SET_ANYWHERE}/lake"), 17, "NOT_SET_ANYWHERE"),
    "bad YAML": (GOOD.replace("[access.log*]", "[access.log*"), None, "YAML"),
    "a tab": (GOOD.replace("    type: file", "\ttype: file"), 5, "YAML"),
    "the same key twice": (GOOD + "name: other\n", 19, "twice"),
    "an empty file": ("", 1, "empty"),
    "only a comment": ("# nothing\n", 1, "empty"),
    "a list": ("- 1\n", 1, "mapping"),
    "nested thousands deep": ("a: " + "[" * 20_000, 1, "deep"),
    "mappings nested thousands deep": ("".join(" " * i + "a:\n" for i in range(2000)), None, "deep"),
    "a hub of another kind": (GOOD.replace("./data", "redis://x"), 2, "hub"),
    "a bad regular expression": (
        GOOD.replace("format: combined", "format: regex\n        pattern: '(?P<a>'"),
        11,
        "pattern",
    ),
    "a bad size": (GOOD + "    roll: {bytes: 12parsecs}\n", 19, "size"),
    "a bad duration": (GOOD + "    roll: {interval: soon}\n", 19, "duration"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_is_refused_with_its_line(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, line, word = BROKEN[what]
    path = tmp_path / "pipeline.yaml"
    path.write_text(text)
    assert main(["validate", str(path)]) == 78
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert word in said
    found = [int(number) for number in re.findall(r"pipeline\.yaml:(\d+):", said)]
    assert found, said
    assert line is None or line in found, said


@pytest.mark.parametrize("command", ["run", "preview", "test", "status", "positions show", "dead-letters list"])
def test_every_command_that_takes_a_pipeline_refuses_a_broken_one_alike(command: str, tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(GOOD.replace("paths:", "pathz:"))
    done = subprocess.run([sys.executable, "-m", "ingest", *command.split(), str(path)], capture_output=True, text=True)
    assert done.returncode == 78, done.stderr
    assert "pipeline.yaml:6:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_binary_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_bytes(bytes(range(256)))
    assert main(["validate", str(path)]) == 78
    assert "UTF-8" in capsys.readouterr().err


def test_every_mistake_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(
        GOOD.replace("paths:", "pathz:").replace("where:", "were:").replace("./lake", "${NOT_SET_ANYWHERE}")
    )
    assert main(["validate", str(path)]) == 78
    said = capsys.readouterr().err
    assert all(word in said for word in ("pathz", "were", "NOT_SET_ANYWHERE"))


def test_a_good_file_is_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(GOOD)
    assert main(["validate", str(path)]) == 0, capsys.readouterr().err
