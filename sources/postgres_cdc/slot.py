"""The replication slot, as the catalogue shows it, against the place that was committed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ingest.errors import ConnectorError, PositionLost, SystemUnavailable
from ingest.sources.postgres.failures import failure
from ingest.sources.postgres_cdc.place import Place, lsn_number, lsn_text

_SLOT = """
SELECT plugin, slot_type, database, active_pid, restart_lsn::text, confirmed_flush_lsn::text, wal_status
FROM pg_replication_slots WHERE slot_name = %s"""
_AGAIN = "`ingest positions reset` makes the next run begin anew, with a snapshot"


@dataclass(frozen=True, slots=True)
class Slot:
    """``confirmed`` and ``restart`` are LSNs: what the consumer has said it has, and from where the log is kept."""

    name: str
    plugin: str
    kind: str
    database: str
    active_pid: int | None
    restart: int
    confirmed: int
    wal_status: str


def slot_named(connection: Any, name: str) -> Slot | None:
    """None if there is none."""
    row = connection.execute(_SLOT, [name]).fetchone()
    if row is None:
        return None
    plugin, kind, database, pid, restart, confirmed, status = row
    return Slot(
        name,
        plugin or "",
        kind,
        database or "",
        pid,
        lsn_number(restart or "0/0"),
        lsn_number(confirmed or "0/0"),
        status or "",
    )


def dropped(connection: Any, name: str, url: str) -> None:
    """Removes a slot of ours from which nothing was read. Raises ``SystemUnavailable`` while somebody uses it."""
    import psycopg

    slot = slot_named(connection, name)
    if slot is None:
        return
    check_idle(slot)
    try:
        connection.execute("SELECT pg_drop_replication_slot(%s)", [name])
    except psycopg.Error as error:
        raise failure(error, url) from None


def check_idle(slot: Slot) -> None:
    """Raises ``SystemUnavailable`` while a connection holds the slot: after a crash the server takes a moment to see
    that the last one is gone."""
    if slot.active_pid is not None:
        raise SystemUnavailable(
            f"the replication slot {slot.name} is in use by process {slot.active_pid} of the server",
            hint="does another pipeline read from it? Each needs a `slot` of its own",
            slot=slot.name,
        )


def check_free(connection: Any, name: str) -> None:
    """Raises ``ConnectorError`` if there is a slot of this name although nothing of it is known here."""
    slot = slot_named(connection, name)
    if slot is not None:
        raise ConnectorError(
            f"there is a replication slot {name} already, and this pipeline has no position in it",
            hint=f"if nobody needs it: SELECT pg_drop_replication_slot('{name}'); else name another one by `slot`",
            slot=name,
        )


def check_resumable(slot: Slot | None, place: Place, wal_end: int) -> None:
    """Raises ``PositionLost`` unless the slot still has everything after ``place``."""
    if slot is None:
        raise PositionLost(
            f"the replication slot {place.slot} is gone: what was written since {lsn_text(place.end)} is not known",
            hint=f"somebody dropped it, or the server is another one. {_AGAIN}",
            slot=place.slot,
        )
    if slot.plugin != "pgoutput" or slot.kind != "logical" or slot.database != place.database:
        raise PositionLost(
            f"the replication slot {slot.name} is not the one that was read: {slot.kind}, "
            f"{slot.plugin or 'no plugin'}, database {slot.database or 'none'}",
            hint=f"drop it, or name another one by `slot`. {_AGAIN}",
            slot=slot.name,
        )
    if slot.wal_status == "lost":
        raise PositionLost(
            f"the server has thrown away log that the replication slot {slot.name} still needed",
            hint=f"its max_slot_wal_keep_size was used up: raise it, or run more often. Drop the slot; {_AGAIN}",
            slot=slot.name,
        )
    if slot.confirmed > place.end:
        raise PositionLost(
            f"the replication slot {slot.name} begins at {lsn_text(slot.confirmed)}, behind the committed position "
            f"{lsn_text(place.end)}: the changes between the two would be skipped in silence",
            hint=f"the slot was made anew, or somebody else has read from it. Drop it; {_AGAIN}",
            slot=slot.name,
        )
    if place.end > wal_end:
        raise PositionLost(
            f"the server's log ends at {lsn_text(wal_end)}, before the committed position {lsn_text(place.end)}",
            hint=f"was the server restored from a backup? {_AGAIN}",
            slot=slot.name,
        )
    check_idle(slot)
