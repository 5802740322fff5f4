"""Connectors and transforms by name: entry points, ours through the same door as strangers'."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from ingest.config import nearest
from ingest.errors import ConfigError, MissingDependency

Kind = Literal["sources", "transforms", "sinks"]


def known(kind: str) -> list[str]:
    """All types of a kind, sorted; loads none of them."""
    return sorted(_named(kind))


def find(kind: str, name: str) -> Any:
    """The class behind a type.

    Raises ``ConfigError`` for an unknown type (naming the nearest and all known ones) or one that two
    packages claim, and ``MissingDependency`` if its module cannot be imported.
    """
    found = _named(kind).get(name)
    if found is None:
        raise ConfigError(_unknown(kind, name), hint=_hint(kind, name), type=name)
    if len(found) > 1:
        claims = ", ".join(sorted(point.value for point in found))
        raise ConfigError(f"two packages bring a {kind[:-1]} of type {name}: {claims}", hint="uninstall one of them")
    return _load(kind, found[0])


@cache
def _named(kind: str) -> dict[str, tuple[EntryPoint, ...]]:
    points: dict[str, tuple[EntryPoint, ...]] = {}
    for point in entry_points(group=f"ingest.{kind}"):
        others = points.get(point.name, ())
        # an editable install beside a built one lists the same class twice
        if all(other.value != point.value for other in others):
            points[point.name] = (*others, point)
    return points


def _load(kind: str, point: EntryPoint) -> Any:
    try:
        return point.load()
    except ImportError as error:
        message = f"the {kind[:-1]} {point.name} ({point.value}) cannot be loaded: {error}"
        raise MissingDependency(message, hint="install what is missing, or the package's extra for it") from error
    except AttributeError as error:
        message = f"the {kind[:-1]} {point.name} is not where its package says: {point.value}"
        raise ConfigError(message, hint="reinstall the package that brings it") from error


def _unknown(kind: str, name: str) -> str:
    return f"there is no {kind[:-1]} of type {name}"


def _hint(kind: str, name: str) -> str:
    types = known(kind)
    if not types:
        return "no package that brings any is installed: is Ingest itself installed with pip?"
    meant = nearest(name, types)
    return (f"did you mean {meant}? " if meant else "") + f"known: {', '.join(types)}"
