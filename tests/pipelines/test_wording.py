"""Each kind of mistake in a pipeline file is told with its line, in plain words, and with what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.errors import ConfigError
from ingest.pipelines.loader import load

HEAD = "name: p\nsources:\n"
FILE = HEAD + "  - {name: a, type: file, topic: t, paths: [x.log]%s}\n"
SINK = """\
name: p
sources:
  - {name: a, type: generator, topic: t}
sinks:
  - name: l
    type: parquet
    topics: [t]
    %s
"""

MISTAKES = {
    "a list": (
        HEAD + "  - name: a\n    type: file\n    topic: t\n    paths: in.log\n",
        "6:5: paths must be a list (hint: write paths: [in.log])",
    ),
    "a list of a variable": (
        HEAD + "  - name: a\n    type: file\n    topic: t\n    paths: ${HOME}/in.log\n",
        '6:5: paths must be a list (hint: write paths: ["${HOME}/in.log"])',
    ),
    "a list of mappings": (
        "name: p\nsources:\n  name: a\n",
        "2:1: sources must be a list (hint: write each entry below it, on lines of its own that begin with a dash:"
        " - type: ...)",
    ),
    "an entry that is no mapping": (
        HEAD + "  - web\n",
        "3:5: sources.0 must be a mapping (hint: write each entry on lines of its own that begin with a dash:"
        " - type: ...)",
    ),
    "an empty list": (SINK.replace("[t]", "[]") % "url: x", "7:5: topics must have at least 1, not 0"),
    "a mapping": (
        SINK % "roll: 5m\n    url: x",
        "8:5: roll must be a mapping (hint: write roll: {rows: ..., bytes: ..., interval: ...})",
    ),
    "a mapping of names": (
        FILE % "" + "topics: [t]\n",
        "4:1: topics must be a mapping (hint: write topics: {NAME: ...})",
    ),
    "a whole number": (
        FILE % "" + "topics:\n  t:\n    partitions: many\n",
        "6:5: topics.t.partitions must be a whole number (hint: write for example partitions: 1)",
    ),
    "a number that is too small": (
        FILE % "" + "topics:\n  t:\n    partitions: 0\n",
        "6:5: topics.t.partitions must be at least 1",
    ),
    "a boolean": (
        FILE % ", watch: maybe",
        "3:53: watch must be true or false (hint: write for example watch: true)",
    ),
    "a duration": (
        FILE % ", rotate_wait: soon",
        "3:53: rotate_wait: 'soon' is not a duration; write for example 500ms, 30s, 5m or 1h30m",
    ),
    "a duration that is a list": (
        FILE % ", rotate_wait: [5]",
        "3:53: rotate_wait: a duration is needed; write for example 500ms, 30s, 5m or 1h30m",
    ),
    "a size": (FILE % ", max_line: big", "3:53: max_line: 'big' is not a size; write for example 128MiB"),
    "a size that is a fraction": (
        FILE % ", max_line: 1.5",
        "3:53: max_line: a size is needed; write for example 128MiB",
    ),
    "one of a few words": (
        FILE % ", start_at: begining",
        "3:53: start_at must be one of beginning, end (hint: did you mean beginning?)",
    ),
    "a text": (SINK % "url: 5", '8:5: url must be a text (hint: put it in quotes: url: "5")'),
    "one text": (
        SINK % "url: [x]",
        "8:5: url must be a text (hint: write one text, without brackets: url: ...)",
    ),
    "nothing": (
        SINK % "url:",
        "8:5: url must be a text (hint: nothing stands after url: write a text, or leave the whole line out)",
    ),
    "one of several types": (
        FILE % "" + "topics:\n  t:\n    config: {retention.ms: [1]}\n",
        "6:14: topics.t.config.retention.ms must be a text or a whole number or a number or true or false",
    ),
}

UNREADABLE = {
    "a variable in a list": ("paths: [${LOGS}]", 'such as ["${NAME}"]'),
    "a variable further on in a list": ("paths: [a.log, ${LOGS}/b.log]", 'such as ["${NAME}"]'),
    "a variable in a mapping": ("roll: {interval: ${EVERY}}", 'such as ["${NAME}"]'),
    "a star": ("paths: [*.log]", "begins with * stands in quotes"),
    "a star that looks like an alias": ("url: *log", "begins with * stands in quotes"),
    "an at sign": ("where: @x", "begins with @ stands in quotes"),
    "a colon in a text": ("where: a = 'b: c'", "a text that holds ': ' stands in quotes"),
    "a tab": ("a:\n\tb: 1", "indent with spaces"),
    "an open quote": ("where: 'a", "opened and not closed"),
    "an open bracket": ("paths: [a, b\nname: x", "opened and not closed"),
}


def mistakes(tmp_path: Path, text: str) -> ConfigError:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    return caught.value


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_told_with_its_line_and_what_to_write(what: str, tmp_path: Path) -> None:
    text, told = MISTAKES[what]
    lines = mistakes(tmp_path, text).message.replace(f"{tmp_path}/p.yaml:", "").splitlines()
    assert told in lines


@pytest.mark.parametrize("what", UNREADABLE)
def test_yaml_that_cannot_be_read_says_what_was_probably_meant(what: str, tmp_path: Path) -> None:
    text, told = UNREADABLE[what]
    error = mistakes(tmp_path, f"name: p\n{text}\n")
    assert told in str(error.hint)
    assert error.facts["line"] in (2, 3, 4)


def test_a_place_is_told_about_once(tmp_path: Path) -> None:
    text = HEAD + "  - name: a\n    type: 5\n    topic: t\n    transforms: [filter, {type: 7}]\n"
    lines = mistakes(tmp_path, text).message.splitlines()
    assert [line.split(":")[1:3] for line in lines] == [["4", "5"], ["6", "18"], ["6", "27"]]


def test_a_secret_is_not_shown_where_it_stands_wrongly(tmp_path: Path) -> None:
    from pydantic import Field, ValidationError

    from ingest.config import Secret, Settings
    from ingest.pipelines.document import parse_document
    from ingest.pipelines.problems import Problems

    class Hidden(Settings):
        tokens: list[Secret] = Field(description="Secrets.")

    problems = Problems(parse_document("tokens: hunter2\n"))
    with pytest.raises(ValidationError) as caught:
        Hidden.model_validate({"tokens": "hunter2"})
    problems.add_validation((), Hidden, caught.value)
    assert "hunter2" not in str(problems.found[0])
    assert "write tokens: [...]" in str(problems.found[0])
