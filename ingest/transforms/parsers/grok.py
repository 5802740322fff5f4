"""Grok patterns as regular expressions: ``%{NAME}``, ``%{NAME:column}``, ``%{NAME:column:type}``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ingest.config import nearest
from ingest.errors import ConfigError
from ingest.transforms.parsers.grok_patterns import PATTERNS
from ingest.transforms.parsers.pattern import Pattern
from ingest.transforms.parsers.typed import TypedColumns

_REFERENCE = re.compile(r"%\{(\w+)(?::([^:}]+))?(?::(\w+))?\}")
_MOST_CHARACTERS = 256 * 1024
_USUAL_TYPES = {"int": "int64", "long": "int64", "float": "float64"}


@dataclass(slots=True)
class Grok:
    """A pattern with its references replaced: ``regex``, the columns by the groups' names, and their types."""

    regex: str
    columns: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)


def expand(pattern: str, own: Mapping[str, str] | None = None) -> Grok:
    """``own`` are patterns of the user's; they win over ours. A column that is named twice by alternatives is a
    mistake. Raises ``ConfigError`` for a name that is not known, or one that holds itself."""
    grok = Grok("")
    known = {**PATTERNS, **(own or {})}
    grok.regex = _expanded(pattern, known, grok, ())
    return grok


def grok_parser(pattern: str, own: Mapping[str, str] | None, types: Mapping[str, str], **typing: str | None) -> Pattern:
    """The parser of a grok pattern; ``types`` win over those inside the pattern."""
    grok = expand(pattern, own)
    typed = TypedColumns({**grok.types, **types}, **typing)
    return Pattern(grok.regex, typed, renamed=grok.columns)


def _expanded(pattern: str, known: Mapping[str, str], grok: Grok, within: tuple[str, ...]) -> str:
    def replaced(match: re.Match[str]) -> str:
        name, column, kind = match.groups()
        if name not in known:
            meant = nearest(name, list(known))
            hint = f"did you mean {meant}?" if meant else "define it under `patterns`"
            raise ConfigError(f"pattern: there is no pattern {name}", hint=hint, setting="pattern")
        if name in within:
            raise ConfigError(f"pattern: {name} holds itself", setting="pattern")
        body = _expanded(known[name], known, grok, (*within, name))
        if column is None:
            return f"(?:{body})"
        return f"(?P<{_group(column, kind, grok)}>{body})"

    made = _REFERENCE.sub(replaced, pattern)
    if len(made) > _MOST_CHARACTERS:
        raise ConfigError("pattern: it becomes too long a regular expression", setting="pattern")
    return made


def _group(column: str, kind: str | None, grok: Grok) -> str:
    if column in grok.columns.values():
        raise ConfigError(f"pattern: two parts are named {column}", setting="pattern")
    name = f"g{len(grok.columns)}"
    grok.columns[name] = column
    if kind is not None:
        grok.types[column] = _USUAL_TYPES.get(kind, kind)
    return name
