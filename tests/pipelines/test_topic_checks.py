"""A pipeline whose records would go to no topic is refused with the line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ingest.config import Settings
from ingest.connectors import Records, Transform, Transformed
from ingest.pipelines.loader import load
from ingest.pipelines.problems import PipelineInvalid
from ingest.runtime import plugins

NO_TOPIC = {
    "of made-up data": "type: generator",
    "of a file": "type: file, paths: [a.log]",
    "of a database": "type: sql, url: 'sqlite:///shop.db', tables: [orders]",
    "with a transform that names none": "type: generator, transforms: [{type: filter, where: 'true'}]",
    "of requests": "type: http",
    "of requests with a path that names none": "type: http, routes: [{path: /a, topic: a}, {path: /b}]",
    "with a name of a variable": "type: generator",
}
NAMED = {
    "by the source": "type: generator, topic: t",
    "by the source for each table": "type: sql, url: 'sqlite:///shop.db', tables: [orders], topic: '{table}'",
    "by a route": "type: generator, transforms: [{type: route, topic: \"'t'\"}]",
    "by each path": "type: http, routes: [{path: /a, topic: a}, {path: /b, topic: b}]",
}


def mistakes(tmp_path: Path, source: str, more: str = "", name: str = "a") -> list[str]:
    path = tmp_path / "p.yaml"
    path.write_text(f"name: p\nsources:\n  - {{name: {name}, {source}}}\n{more}")
    try:
        load(path, variables={"SOURCE": "a"})
    except PipelineInvalid as error:
        return [str(problem).removeprefix(f"{path}:") for problem in error.problems]
    return []


@pytest.mark.parametrize("which", NO_TOPIC)
def test_a_source_that_nothing_gives_a_topic_is_refused(which: str, tmp_path: Path) -> None:
    name = '"${SOURCE}"' if which == "with a name of a variable" else "a"
    (told,) = mistakes(tmp_path, NO_TOPIC[which], name=name)
    assert told.startswith("3:5: topic is missing (hint: name where its records go")


@pytest.mark.parametrize("which", NAMED)
def test_a_topic_may_be_named(which: str, tmp_path: Path) -> None:
    assert mistakes(tmp_path, NAMED[which]) == []


def test_a_transform_of_somebody_else_may_name_the_topic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Splits(Transform):
        Settings = Settings

        def __init__(self, settings: Any) -> None:
            pass

        def apply(self, records: Records, state: Any) -> Transformed:
            return Transformed([records])

    find = plugins.find
    monkeypatch.setattr(plugins, "find", lambda kind, name: Splits if name == "splits" else find(kind, name))
    assert mistakes(tmp_path, "type: generator, transforms: [{type: splits}]") == []


READER = "sinks: [{name: out, type: console, topics: [bad]}]\n"


def test_dead_letters_go_to_a_topic_that_no_source_writes(tmp_path: Path) -> None:
    (told,) = mistakes(tmp_path, "type: generator, topic: rows", "errors: {topic: rows}\n")
    assert told == (
        "4:10: rows would hold both the rows of source a and the dead letters"
        " (hint: give the dead letters a topic of their own, by errors.topic)"
    )
    (told,) = mistakes(tmp_path, "type: generator, topic: p.dead")
    assert told.startswith("3:32: p.dead would hold both")


def test_a_sink_may_read_the_dead_letters(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "type: generator, topic: rows", "errors: {topic: bad}\n" + READER) == []


def test_without_dead_letters_their_topic_is_free(tmp_path: Path) -> None:
    errors = "errors: {tolerance: none, topic: rows}\n"
    assert mistakes(tmp_path, "type: generator, topic: rows", errors) == []
