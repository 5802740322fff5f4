"""``Content-Type``, as far as it matters here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class ContentType:
    """Both in lower case; "" where they are not said."""

    name: str
    charset: str
    is_json: bool
    """A body without a type is taken for JSON, too."""

    @classmethod
    def parse(cls, header: str) -> ContentType:
        """Never fails: what cannot be understood is a name that nobody knows."""
        return _parsed(header[:300])


@lru_cache(maxsize=256)
def _parsed(header: str) -> ContentType:
    name, *parameters = header.lower().split(";")
    charset = ""
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "charset":
            charset = value.strip().strip('"')
    name = name.strip()
    one = name in ("", "application/json", "text/json") or name.endswith("+json")
    return ContentType(name, charset, one and name != "application/cloudevents-batch+json")
