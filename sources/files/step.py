"""What one poll collects."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from ingest.connectors import DeadRecords, Origin, Polled, Position, Records
from ingest.sources.files.pieces import Piece
from ingest.sources.files.place import Found, Place


class Step:
    """Records and dead letters of several objects, in their order, and all positions that move with them."""

    def __init__(self, source: str, place: Place) -> None:
        self._source = source
        self._place = place
        self._records: list[Records] = []
        self._dead: list[DeadRecords] = []
        self._positions: dict[str, Position | None] = {}

    def __bool__(self) -> bool:
        return bool(self._positions)

    def add(self, found: Found, piece: Piece) -> None:
        """Records of one object."""
        if len(piece.value):
            self._records.append(self._as_records(found, piece.value, piece.at))
        if piece.bad:
            content = pa.array([bad.content for bad in piece.bad], pa.binary())
            at = pa.array([bad.at for bad in piece.bad], pa.int64())
            reasons = [bad.reason for bad in piece.bad]
            self._dead.append(DeadRecords(self._as_records(found, content, at), reasons, "read", "RecordUnreadable"))

    def tell(self, found: Found, error: str, reason: str) -> None:
        """A dead letter for an object as a whole: its value is the object's URL."""
        url = pa.array([self._place.describe(found.name).encode()], pa.binary())
        self._dead.append(DeadRecords(self._as_records(found, url, pa.array([0], pa.int64())), [reason], "read", error))

    def move(self, positions: Mapping[str, Position | None]) -> None:
        """Later ones take the place of earlier ones of the same stream."""
        self._positions |= positions

    def polled(self) -> Polled:
        return Polled(self._records, self._positions, self._dead)

    def _as_records(self, found: Found, value: pa.Array, at: pa.Array) -> Records:
        url = self._place.describe(found.name)
        return Records(
            value=value,
            common_headers=(("ingest.file", url.encode()),),
            stream=stream_of(found),
            origin=Origin(self._source, url, found.modified_ms or None),
            positions=at,
        )


def stream_of(found: Found) -> str:
    """The stream of an object while it is read; names that begin with a dot are not read, so none is ours."""
    return found.name or "object"
