"""Connectors by entry points: strangers' packages come in as ours do."""

from __future__ import annotations

import sys

import pytest

from ingest.errors import ConfigError, MissingDependency
from ingest.runtime import plugins


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs distributions: ``installed("name", {"ingest.sources": {"x": "module:Class"}})``."""

    def install(name, groups):
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = []
        for group, points in groups.items():
            lines += [f"[{group}]", *(f"{key} = {value}" for key, value in points.items())]
        (info / "entry_points.txt").write_text("\n".join(lines))
        plugins._named.cache_clear()

    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield install
    plugins._named.cache_clear()


def test_a_stranger_is_found_by_its_type(installed):
    installed("strange", {"ingest.sources": {"strange": "collections:OrderedDict"}})
    assert plugins.find("sources", "strange").__name__ == "OrderedDict"
    assert {"strange", "file"} <= set(plugins.known("sources"))


def test_an_unknown_type_is_an_error_that_names_the_nearest_and_all(installed):
    installed("strange", {"ingest.sinks": {"strange": "collections:OrderedDict"}})
    with pytest.raises(ConfigError) as raised:
        plugins.find("sinks", "strangr")
    assert raised.value.message == "there is no sink of type strangr"
    assert "did you mean strange?" in raised.value.hint
    assert "parquet" in raised.value.hint


def test_a_type_that_two_packages_bring_is_an_error_that_names_both(installed):
    installed("one", {"ingest.sources": {"twice": "collections:OrderedDict"}})
    installed("two", {"ingest.sources": {"twice": "collections:Counter"}})
    with pytest.raises(ConfigError, match=r"collections:Counter, collections:OrderedDict"):
        plugins.find("sources", "twice")


def test_the_same_class_listed_twice_is_one(installed):
    installed("one", {"ingest.sources": {"same": "collections:OrderedDict"}})
    installed("copy", {"ingest.sources": {"same": "collections:OrderedDict"}})
    assert plugins.find("sources", "same").__name__ == "OrderedDict"


def test_a_module_that_cannot_be_imported_says_what_is_missing(installed):
    installed("needy", {"ingest.sources": {"needy": "no_such_module_here:Source"}})
    with pytest.raises(MissingDependency, match=r"needy .*no_such_module_here"):
        plugins.find("sources", "needy")


def test_a_class_that_is_not_there_is_an_error(installed):
    installed("wrong", {"ingest.sources": {"wrong": "collections:NoSuchClass"}})
    with pytest.raises(ConfigError, match="collections:NoSuchClass"):
        plugins.find("sources", "wrong")
