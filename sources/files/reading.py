"""An object that is being read: its reader, and the position that brings it back there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ingest.connectors import Position
from ingest.errors import ConnectorError
from ingest.sources.files.pieces import ObjectReader, Piece
from ingest.sources.files.place import Found, Place
from ingest.sources.files.readers import open_reader
from ingest.sources.files.settings import FilesSettings

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Begun:
    """What a position says of an object: the version that was read, and where its reader stood."""

    version: str
    place: Mapping[str, Any]

    @classmethod
    def from_json(cls, stream: str, position: Mapping[str, Any]) -> Begun:
        if position.get("version") != _VERSION:
            raise ConnectorError(
                f"the position of {stream} is of version {position.get('version')!r}, and {_VERSION} is known here",
                hint="`ingest positions reset` begins anew",
            )
        return cls(str(position["object"]), position["place"])

    def as_json(self) -> Position:
        return {"version": _VERSION, "object": self.version, "place": dict(self.place)}


class Reading:
    """Opens the object at once; ``found`` is how it was then."""

    def __init__(self, place: Place, found: Found, settings: FilesSettings, begun: Begun | None) -> None:
        self.found = found
        self._place = place
        self.begun = begun or Begun(found.version, {})
        with place.reading(found.name):
            file = place.open(found.name)
            try:
                self._reader: ObjectReader = open_reader(file, found.name or place.url, settings, self.begun.place)
            except BaseException:
                file.close()
                raise

    def read(self, max_bytes: int) -> Piece | None:
        """See ``ObjectReader.read``; the position moves with it."""
        with self._place.reading(self.found.name):
            piece = self._reader.read(max_bytes)
        if piece is not None:
            self.begun = Begun(self.begun.version, piece.place)
        return piece

    def close(self) -> None:
        self._reader.close()
