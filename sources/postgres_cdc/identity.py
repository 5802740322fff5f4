"""Whether the server is the one that was read, and its history that of the committed place."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ingest.errors import PositionLost
from ingest.sources.postgres_cdc.place import Place, lsn_number, lsn_text


class Identity(NamedTuple):
    """Which server it is, and how far its log goes."""

    system: str
    timeline: int
    end: int
    database: str


def check_same(place: Place, slot: str, publication: str, identity: Identity, history_of: Callable[[int], str]) -> None:
    """Raises ``PositionLost`` if the server is not the one, or its history not that, in which ``place`` lies."""
    if (place.slot, place.publication) != (slot, publication):
        raise PositionLost(
            f"the committed position is one in the slot {place.slot} and the publication {place.publication}, and the "
            f"settings mean {slot} and {publication}",
            hint="name those again; or drop it, and let `ingest positions reset` make the next run begin anew",
        )
    if (place.system, place.database) != (identity.system, identity.database):
        raise PositionLost(
            f"the committed position is one in the database {place.database} of the server {place.system}, and this is "
            f"{identity.database} of {identity.system}",
            hint="was the server set up anew, or the URL changed? `ingest positions reset` begins anew",
        )
    if place.timeline != identity.timeline:
        later = identity.timeline > place.timeline
        end = end_of_timeline(history_of(identity.timeline), place.timeline) if later else None
        if end is None or place.end > end:
            raise PositionLost(
                f"the server has gone over from timeline {place.timeline} to {identity.timeline}, and the committed "
                f"position {lsn_text(place.end)} is not in its history",
                hint="a standby took over that had not received everything. `ingest positions reset` begins anew",
            )


def end_of_timeline(history: str, timeline: int) -> int | None:
    """The LSN at which an earlier timeline ended; None if it is none of the server's."""
    for line in history.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == str(timeline):
            return lsn_number(words[1])
    return None
