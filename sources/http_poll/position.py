"""What is committed with the records: where the next request goes, and what of its answer is known already."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from ingest.errors import ConnectorError
from ingest.sources.http_poll.place import Place

VERSION = 1
MAX_SEEN = 1_000


@dataclass(frozen=True, slots=True)
class PollPosition:
    """``place`` is the page that is asked for next, of which ``taken`` records have been delivered.

    ``etag``, ``modified`` and ``digest`` tell whether that page has changed since all of it was delivered. ``since``
    is what this round asks for; ``newest`` the greatest value so far, and ``seen`` the digests of the records that
    have just this value, for the next round will bring them again.
    """

    place: Place = field(default_factory=dict)
    taken: int = 0
    etag: str | None = None
    modified: str | None = None
    digest: str | None = None
    since: Any = None
    newest: Any = None
    seen: tuple[str, ...] = ()
    records: int = 0

    def as_json(self) -> dict[str, Any]:
        return {"version": VERSION, **asdict(self), "seen": list(self.seen)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Raises ``ConnectorError`` for one that another version of this source has written."""
        if stored.get("version") != VERSION:
            raise ConnectorError("the position was written by another version", hint="see: ingest positions reset")
        fields = {name: value for name, value in stored.items() if name != "version"}
        return cls(**{**fields, "seen": tuple(stored["seen"])})


def digest_of(data: bytes) -> str:
    """Tells one text from another."""
    return hashlib.blake2b(data, digest_size=12).hexdigest()


def is_newer(value: Any, than: Any) -> bool:
    """Raises ``ConnectorError`` for values that have no order."""
    if than is None:
        return True
    numbers = isinstance(value, int | float) and isinstance(than, int | float)
    if not numbers and not (isinstance(value, str) and isinstance(than, str)):
        raise ConnectorError(f"the values of `since.field` have no order: {value!r} and {than!r}")
    return bool(value > than)
