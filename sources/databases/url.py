"""The setting that names a database."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, PlainSerializer

from ingest.database_url import kind_of, libpq, masked

__all__ = ["DatabaseUrl", "libpq", "masked"]


def _checked(url: str) -> str:
    kind_of(url)
    return url


DatabaseUrl = Annotated[str, AfterValidator(_checked), PlainSerializer(masked)]
