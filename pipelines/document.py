"""A YAML file as plain values that remember where they stand.

Built from the parser's events without recursion, so that no file, however deep or wide, does more than fail with
its line. Scalars are read as YAML 1.2's core schema does (``on`` and ``no`` are text), plus ``1_000`` for numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ingest.errors import ConfigError
from ingest.pipelines.yaml_hints import yaml_hint

MAX_FILE_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 200_000

Place = tuple[str | int, ...]

_INTEGER = re.compile(r"^[-+]?(0|[1-9][0-9_]*)$")
_FLOAT = re.compile(r"^[-+]?(\.[0-9]+|(0|[1-9][0-9_]*)(\.[0-9]*|(?=[eE])))([eE][-+]?[0-9]+)?$")
_STAR = "quote it, if it is no alias: a text that begins with * stands in quotes"
_WORDS: dict[str, object] = {"": None, "~": None, "null": None, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the file, counted from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Document:
    """``value`` is the whole file; ``marks`` tells where each value stands, ``keys`` where its key does."""

    path: str
    value: Any = None
    marks: dict[Place, Mark] = field(default_factory=dict)
    keys: dict[Place, Mark] = field(default_factory=dict)

    def mark(self, place: Place) -> Mark:
        """Where ``place`` stands, or the nearest thing around it that is in the file."""
        for end in range(len(place), -1, -1):
            found = self.keys.get(place[:end]) or self.marks.get(place[:end])
            if found is not None:
                return found
        return Mark(1, 1)

    def at(self, place: Place) -> Any:
        """The value at ``place`` as it stands in the file, variables not yet substituted; None if there is none."""
        found = self.value
        for part in place:
            inside = range(len(found)) if isinstance(found, list) else found if isinstance(found, dict) else ()
            if part not in inside:
                return None
            found = found[part]
        return found


def read_document(path: Path) -> Document:
    """Reads the file; raises ``ConfigError`` with the line for whatever is no YAML mapping."""
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise ConfigError(f"{path} is a folder", hint="name a pipeline file, such as pipeline.yaml")
        if size > MAX_FILE_BYTES:
            raise ConfigError(f"{path} has {size} bytes; a pipeline file has at most {MAX_FILE_BYTES}")
        data = path.read_bytes()
    except FileNotFoundError as error:
        hint = "make one to start from with: ingest init DIR --template access-log"
        raise ConfigError(f"{path} does not exist", hint=hint, path=str(path)) from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", path=str(path)) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _wrong(str(path), Mark(line, 1), "is not UTF-8 text", "a pipeline file is YAML in UTF-8") from error
    return parse_document(text, str(path))


def parse_document(text: str, path: str = "<text>") -> Document:
    """Parses one YAML document whose top is a mapping."""
    try:
        document = _Builder(path).build(yaml.parse(text, Loader=_loader()))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Mark(mark.line + 1, mark.column + 1) if mark else Mark(1, 1)
        problem = str(error.problem or error)
        hint = yaml_hint(text, place.line - 1, place.column - 1, problem)
        raise _wrong(path, place, f"is not valid YAML: {problem}", hint) from error
    except yaml.YAMLError as error:
        position = getattr(error, "position", None)
        line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 1
        reason = getattr(error, "reason", None) or "it cannot be read"
        raise _wrong(path, Mark(line, 1), f"is not valid YAML: {reason}") from error
    if document.value is None:
        raise _wrong(path, Mark(1, 1), "is empty", "a pipeline needs at least name, sources and sinks")
    if not isinstance(document.value, dict):
        raise _wrong(path, document.mark(()), "is not a mapping", "start with a line such as: name: my-pipeline")
    return document


def _loader() -> Any:
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _wrong(path: str, mark: Mark, what: str, hint: str | None = None) -> ConfigError:
    return ConfigError(
        f"{path}:{mark.line}:{mark.column}: {what}", hint=hint, path=path, line=mark.line, column=mark.column
    )


@dataclass(slots=True)
class _Open:
    """A collection that is being filled: its value, its place, its anchor, and a mapping's waiting key."""

    value: Any
    place: Place
    anchor: str | None
    key: Any = None
    has_key: bool = False


class _Builder:
    def __init__(self, path: str) -> None:
        self.document = Document(path)
        self._stack: list[_Open] = []
        self._anchors: dict[str, Any] = {}
        self._nodes = 0
        self._documents = 0

    def build(self, events: Iterator[Any]) -> Document:
        for event in events:
            self._count(event)
            if isinstance(event, yaml.ScalarEvent):
                self._scalar(event)
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event)
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                self._start(event, {} if isinstance(event, yaml.MappingStartEvent) else [])
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                self._stack.pop()
            elif isinstance(event, yaml.DocumentStartEvent):
                self._documents += 1
                if self._documents > 1:
                    raise self._at(event, "holds a second document", "one file is one pipeline")
        return self.document

    def _count(self, event: Any) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._at(event, f"has more than {MAX_NODES} values")

    def _scalar(self, event: Any) -> None:
        if event.tag is not None and event.tag not in ("!", "tag:yaml.org,2002:str"):
            raise self._at(event, f"has the tag {event.tag}, which is not supported")
        value = _scalar_value(event.value) if event.tag is None and event.implicit[0] else event.value
        if event.anchor:
            self._anchors[event.anchor] = value
        self._add(value, event)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            raise self._at(event, f"names the anchor {event.anchor}, which is not defined above", _STAR)
        if any(open_.anchor == event.anchor for open_ in self._stack):
            raise self._at(event, f"the anchor {event.anchor} would contain itself")
        value = self._anchors[event.anchor]
        self._nodes += _size(value, MAX_NODES)
        self._add(value, event)

    def _start(self, event: Any, value: Any) -> None:
        if len(self._stack) >= MAX_DEPTH:
            raise self._at(event, f"is nested more than {MAX_DEPTH} deep")
        if self._stack and isinstance(self._stack[-1].value, dict) and not self._stack[-1].has_key:
            raise self._at(event, "has a key that is no text")
        place = self._add(value, event)
        self._stack.append(_Open(value, place, event.anchor))
        if event.anchor:
            self._anchors[event.anchor] = value

    def _add(self, value: Any, event: Any) -> Place:
        mark = Mark(event.start_mark.line + 1, event.start_mark.column + 1)
        if not self._stack:
            self.document.value = value
            self.document.marks[()] = mark
            return ()
        top = self._stack[-1]
        if isinstance(top.value, list):
            place: Place = (*top.place, len(top.value))
            top.value.append(value)
        elif not top.has_key:
            return self._key(top, value, event, mark)
        else:
            place = (*top.place, top.key)
            top.value[top.key] = value
            top.has_key = False
        self.document.marks[place] = mark
        return place

    def _key(self, top: _Open, value: Any, event: Any, mark: Mark) -> Place:
        key = event.value if isinstance(event, yaml.ScalarEvent) else value
        if not isinstance(key, str):
            raise self._at(event, "has a key that is no text")
        if key in top.value:
            raise self._at(event, f"has the key {key} twice")
        top.key, top.has_key = key, True
        top.value[key] = None
        self.document.keys[(*top.place, key)] = mark
        return (*top.place, key)

    def _at(self, event: Any, what: str, hint: str | None = None) -> ConfigError:
        mark = Mark(event.start_mark.line + 1, event.start_mark.column + 1)
        return _wrong(self.document.path, mark, what, hint)


def _scalar_value(text: str) -> object:
    lowered = text.lower()
    if lowered in _WORDS:
        return _WORDS[lowered]
    if _INTEGER.match(text) and len(text) < 40:
        return int(text.replace("_", ""))
    if _FLOAT.match(text) and len(text) < 40:
        return float(text.replace("_", ""))
    return text


def _size(value: Any, limit: int) -> int:
    """How many values ``value`` holds, counted up to ``limit``."""
    count, todo = 0, [value]
    while todo and count <= limit:
        item = todo.pop()
        count += 1
        if isinstance(item, dict):
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)
    return count
