"""Where the source stands in the log of its database: what is committed with the records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from ingest.errors import ConnectorError

STREAM = "changes"
VERSION = 1

State = Literal["intent", "streaming", "read"]


@dataclass(frozen=True, slots=True)
class Reading:
    """A snapshot beside the stream: of the first of ``tables`` the rows up to the key ``after`` were taken, ``rows`` of
    them; then come the others."""

    tables: tuple[str, ...]
    after: tuple[str, ...] | None = None
    rows: int = 0

    def as_position(self) -> dict[str, Any]:
        """JSON values."""
        return {"tables": list(self.tables), "after": self.after and list(self.after), "rows": self.rows}


@dataclass(frozen=True, slots=True)
class Place:
    """``intent``: a slot of this name was about to be made, and nothing was read; ``read``: a snapshot was all.

    ``streaming``: all transactions whose commit record begins before ``end`` were taken, and of the one whose record
    begins at ``commit`` (0: of none) the first ``done`` changes. ``end`` is what the slot may be told. ``reading`` is
    what a snapshot beside the stream has left to do.
    """

    state: State
    system: str
    timeline: int
    database: str
    slot: str
    publication: str
    end: int = 0
    commit: int = 0
    done: int = 0
    reading: Reading | None = None

    def streaming(self, end: int, commit: int = 0, done: int = 0) -> Place:
        """The same slot, further on."""
        return replace(self, state="streaming", end=end, commit=commit, done=done)

    def as_position(self) -> dict[str, Any]:
        """JSON values; LSNs as PostgreSQL writes them."""
        content: dict[str, Any] = {
            "version": VERSION,
            "state": self.state,
            "system": self.system,
            "timeline": self.timeline,
            "database": self.database,
            "slot": self.slot,
            "publication": self.publication,
        }
        if self.state == "streaming":
            content |= {"end": lsn_text(self.end), "commit": lsn_text(self.commit), "done": self.done}
        if self.reading is not None:
            content["reading"] = self.reading.as_position()
        return content


def place_of(position: Mapping[str, Any]) -> Place:
    """Raises ``ConnectorError`` for a position of something else."""
    if position.get("version") != VERSION:
        raise ConnectorError(
            f"the position is not one of this source: {dict(position)}",
            hint="another version of Ingest, or another kind of source of this name, has written it",
        )
    content = {name: value for name, value in position.items() if name != "version"}
    for name in ("end", "commit"):
        content[name] = lsn_number(content.get(name, "0/0"))
    if "reading" in content:
        after = content["reading"]["after"]
        tables, rows = tuple(content["reading"]["tables"]), content["reading"]["rows"]
        content["reading"] = Reading(tables, None if after is None else tuple(after), rows)
    return Place(**content)


def lsn_text(lsn: int) -> str:
    """``0/16B3748``"""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def lsn_number(text: str) -> int:
    """The reverse."""
    high, _, low = text.partition("/")
    return int(high, 16) << 32 | int(low, 16)
