"""What is wrong with a pipeline file: every mistake, each with its line and a hint."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from ingest.config import nearest
from ingest.errors import ConfigError
from ingest.pipelines.document import Document, Place


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
    """A pipeline file with ``problems``, in the order of their lines."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: (problem.line, problem.column))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Problems:
    """Collects the mistakes of one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.found: list[Problem] = []

    def add(self, place: Place, message: str, hint: str | None = None) -> None:
        mark = self.document.mark(place)
        self.found.append(Problem(self.document.path, mark.line, mark.column, message, hint))

    def add_error(self, place: Place, error: ConfigError) -> None:
        self.add(place, error.message, error.hint)

    def add_validation(self, place: Place, model: type[BaseModel], error: ValidationError) -> None:
        """Every complaint of pydantic about settings that stand at ``place``."""
        seen: set[tuple[Place, str]] = set()
        for item in error.errors(include_url=False, include_context=True):
            location = _real_place(self.document, place, item["loc"])
            message, hint = _words(model, item, location[len(place) :])
            if (location, message) not in seen:
                seen.add((location, message))
                self.add(location, message, hint)

    def raise_any(self) -> None:
        if self.found:
            raise PipelineInvalid(self.found)


def _real_place(document: Document, place: Place, location: tuple[str | int, ...]) -> Place:
    """Pydantic's location without the parts that name a union's branch: those are not in the file."""
    found = place
    for part in location:
        here = (*found, part)
        known = here in document.marks or here in document.keys
        missing_key = part is location[-1] and isinstance(part, str) and part.isidentifier()
        if known or missing_key:
            found = here
    return found


def _words(model: type[BaseModel], item: Any, place: Place) -> tuple[str, str | None]:
    name = ".".join(str(part) for part in place) or "this"
    kind = item["type"]
    if kind == "extra_forbidden":
        known = _known_keys(model, place[:-1])
        meant = nearest(str(place[-1]) if place else "", known)
        hint = f"did you mean {meant}?" if meant else f"known keys: {', '.join(known)}"
        return f"unknown key {name}", hint
    if kind == "missing":
        return f"{name} is missing", _description(model, place)
    message = str(item["msg"]).removeprefix("Value error, ")
    return f"{name}: {message[:1].lower()}{message[1:]}", None


def _known_keys(model: type[BaseModel], place: Place) -> list[str]:
    found = _model_at(model, place)
    if found is None:
        return []
    return [field.alias or name for name, field in found.model_fields.items()]


def _description(model: type[BaseModel], place: Place) -> str | None:
    found = _model_at(model, place[:-1])
    field = found.model_fields.get(str(place[-1])) if found is not None and place else None
    return field.description if field is not None else None


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
