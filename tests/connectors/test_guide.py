"""The example of the guide "write your own connector" runs as printed, and passes the contract suites."""

from __future__ import annotations

import re
import sqlite3
import sys
import tomllib
import types
from pathlib import Path

import pytest

from ingest.environment import Environment
from ingest.hub.embedded import EmbeddedHub
from ingest.pipelines.loader import load as load_pipeline
from ingest.runtime import plugins
from ingest.runtime.worker import Worker

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "write-your-own-connector.md"


def blocks(language: str) -> list[str]:
    """The fenced blocks of the guide in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)


def load(source: str) -> types.ModuleType:
    """Runs one block as the module that its first line names."""
    name = source.splitlines()[0].removeprefix("# ").removesuffix(".py")
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, f"{GUIDE.name}:{name}", "exec"), module.__dict__)
    return module


MODULES = {module.__name__: module for module in map(load, blocks("python"))}

TestNotesSource = MODULES["test_notes"].TestNotesSource
TestShorten = MODULES["test_notes"].TestShorten
TestTableSink = MODULES["test_notes"].TestTableSink


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The guide's package, as pip would have installed it."""
    site = tmp_path / "site"
    info = site / "notes-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: notes\nVersion: 1.0\n")
    groups = tomllib.loads("\n".join(blocks("toml")))["project"]["entry-points"]
    for group, points in groups.items():
        with (info / "entry_points.txt").open("a") as file:
            file.write("\n".join([f"[{group}]", *(f"{name} = {place}" for name, place in points.items()), ""]))
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    plugins._named.cache_clear()
    yield
    plugins._named.cache_clear()


@pytest.mark.usefixtures("installed")
def test_the_guides_pipeline_carries_notes_into_the_table(tmp_path):
    (tmp_path / "pipeline.yaml").write_text("\n".join(blocks("yaml")))
    MODULES["test_notes"].insert(tmp_path, ["short", "long " * 20, b"\xff"])
    pipeline = load_pipeline(tmp_path / "pipeline.yaml")
    environment = Environment()
    hub = EmbeddedHub.open(pipeline.hub, environment)
    outcome = Worker(hub, pipeline.plan, environment, until_caught_up=True).run()
    hub.close()
    assert (outcome.state, outcome.dead_letters) == ("done", 1), outcome.error
    database = sqlite3.connect(tmp_path / "copy.db")
    assert database.execute("SELECT text FROM written").fetchall() == [("short",), (("long " * 20)[:40],)]
    database.close()
