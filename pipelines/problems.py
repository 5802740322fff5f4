"""What is wrong with a pipeline file: every mistake, each with its line and a hint."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from ingest.config import nearest
from ingest.errors import ConfigError
from ingest.pipelines.document import Document, Place
from ingest.pipelines.wording import hint, needed, worded


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake; ``line`` and ``column`` count from 1."""

    path: str
    line: int
    column: int
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        hint = f" (hint: {self.hint})" if self.hint else ""
        return f"{self.path}:{self.line}:{self.column}: {self.message}{hint}"


class PipelineInvalid(ConfigError):
    """A pipeline file with ``problems``, one or more, in the order of their lines; the facts are the first one's."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: (problem.line, problem.column))
        first = self.problems[0]
        text = "\n".join(str(problem) for problem in self.problems)
        super().__init__(text, path=first.path, line=first.line, column=first.column)


class Problems:
    """Collects the mistakes of one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.found: list[Problem] = []
        self._told: set[Place] = set()

    def add(self, place: Place, message: str, hint: str | None = None) -> None:
        """A place is told about once: what is said of it first is why others complain, too."""
        if place in self._told:
            return
        self._told.add(place)
        mark = self.document.mark(place)
        self.found.append(Problem(self.document.path, mark.line, mark.column, message, hint))

    def add_error(self, place: Place, error: ConfigError) -> None:
        self.add(place, error.message, error.hint)

    def add_validation(self, place: Place, model: type[BaseModel], error: ValidationError) -> None:
        """Every complaint of pydantic about settings that stand at ``place``."""
        by_location: dict[Place, list[Any]] = {}
        for item in error.errors(include_url=False, include_context=True):
            by_location.setdefault(_real_place(self.document, place, item), []).append(item)
        for location, items in by_location.items():
            self.add(location, *self._words(model, items, location, location[len(place) :]))

    def _words(self, model: type[BaseModel], items: list[Any], location: Place, place: Place) -> tuple[str, str | None]:
        name = ".".join(str(part) for part in place) or "this"
        kind = items[0]["type"]
        if kind == "extra_forbidden":
            known = _known_keys(model, place[:-1])
            meant = nearest(str(place[-1]) if place else "", known)
            return f"unknown key {name}", f"did you mean {meant}?" if meant else f"known keys: {', '.join(known)}"
        if kind == "missing":
            return f"{name} is missing", _description(model, place)
        # the branches of a union each complain of the type: it may be what any of them needs
        choices = list(dict.fromkeys(filter(None, (needed(item["type"]) for item in items))))
        if len(choices) > 1:
            return f"{name} must be {' or '.join(choices)}", None
        key = str(place[-1]) if place and isinstance(place[-1], str) else "it"
        written = self.document.at(location)
        return worded(name, items[0]), hint(key, items[0], written, _field(model, place), _known_keys(model, place))

    def raise_any(self) -> None:
        if self.found:
            raise PipelineInvalid(self.found)


def _real_place(document: Document, place: Place, item: Any) -> Place:
    """Pydantic's location without the parts that name a union's branch: those are not in the file."""
    found = place
    for part in item["loc"]:
        here = (*found, part)
        known = here in document.marks or here in document.keys
        if known or (item["type"] == "missing" and part is item["loc"][-1]):
            found = here
    return found


def _known_keys(model: type[BaseModel], place: Place) -> list[str]:
    found = _model_at(model, place)
    if found is None:
        return []
    return [field.alias or name for name, field in found.model_fields.items()]


def _description(model: type[BaseModel], place: Place) -> str | None:
    field = _field(model, place)
    return field.description if field is not None else None


def _field(model: type[BaseModel], place: Place) -> FieldInfo | None:
    """The setting at ``place``; None for an entry of a list."""
    found = _model_at(model, place[:-1])
    return found.model_fields.get(str(place[-1])) if found is not None and place else None


def _model_at(model: type[BaseModel], place: Place) -> type[BaseModel] | None:
    """The settings model that describes ``place`` inside ``model``."""
    current: type[BaseModel] | None = model
    for part in place:
        if isinstance(part, int):
            continue
        if current is None or part not in current.model_fields:
            continue
        current = _first_model(current.model_fields[part].annotation)
    return current


def _first_model(annotation: Any) -> type[BaseModel] | None:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation
    for argument in typing.get_args(annotation):
        found = _first_model(argument)
        if found is not None:
            return found
    return None
