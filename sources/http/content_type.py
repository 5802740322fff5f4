"""``Content-Type``, as far as it matters here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class ContentType:
    """Both in lower case; "" where they are not said."""

    name: str
    charset: str

    @classmethod
    def parse(cls, header: str) -> ContentType:
        """Never fails: what cannot be understood is a name that nobody knows."""
        return _parsed(header[:300])

    @property
    def is_json(self) -> bool:
        """A body without a type is taken for JSON, too."""
        return self.name in ("", "application/json", "text/json") or self.name.endswith("+json")


@lru_cache(maxsize=256)
def _parsed(header: str) -> ContentType:
    name, *parameters = header.lower().split(";")
    charset = ""
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "charset":
            charset = value.strip().strip('"')
    return ContentType(name.strip(), charset)
