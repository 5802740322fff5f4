"""The setting that names a database."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, PlainSerializer

from ingest.database_url import is_known, kind_of, libpq, masked

__all__ = ["DatabaseUrl", "libpq", "masked"]


def _checked(url: str) -> str:
    kind_of(url)
    return url


DatabaseUrl = Annotated[str, AfterValidator(_checked), PlainSerializer(masked)]


def _any(url: str) -> str:
    if is_known(url) or "://" not in url:
        kind_of(url)
    return url


AnyDatabaseUrl = Annotated[str, AfterValidator(_any), PlainSerializer(masked)]
"""Of databases, too, that only SQLAlchemy knows."""
