"""Addresses of databases: ``postgresql://user:password@host:port/database``, ``sqlite:///file``."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, PlainSerializer

Kind = Literal["postgresql", "sqlite"]

_KINDS: dict[str, Kind] = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "postgresql+psycopg": "postgresql",
    "sqlite": "sqlite",
}
_PASSWORD = re.compile(r"(?<=://)([^/?#]*?):([^/?#]*)@")
_PARAMETER = re.compile(r"([?&](?:ssl)?password=)[^&#]*", re.IGNORECASE)


def kind_of(url: str) -> Kind:
    """Which database it names; raises ``ValueError`` for one that cannot be read."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ValueError("a URL is needed, such as postgresql://user@host/database or sqlite:///file.db")
    kind = _KINDS.get(scheme.lower())
    if kind is None:
        raise ValueError(f"{scheme}:// cannot be read: postgresql:// and sqlite:// can")
    if kind == "sqlite" and len(rest) < 2:
        raise ValueError("sqlite:/// needs the path of a file: sqlite:///relative.db, sqlite:////absolute.db")
    return kind


def masked(url: str) -> str:
    """The URL without its password: for people and logs."""
    return _PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1:***@", url))


def libpq(url: str) -> str:
    """As libpq reads it: without the name of a driver."""
    return "postgresql://" + url.partition("://")[2]


def _checked(url: str) -> str:
    kind_of(url)
    return url


DatabaseUrl = Annotated[str, AfterValidator(_checked), PlainSerializer(masked)]
