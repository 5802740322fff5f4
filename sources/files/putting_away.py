"""Objects are deleted or moved once all of their rows are on the hub's disk, and the set says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ingest.connectors import Position, SourceContext
from ingest.errors import ConnectorError, SystemUnavailable
from ingest.sources.files.place import Found, Gone, Place
from ingest.sources.files.settings import FilesSettings
from ingest.sources.files.step import stream_of


class PuttingAway:
    """What a crash left is found by the next listing: done, and still there."""

    def __init__(self, place: Place, settings: FilesSettings, context: SourceContext) -> None:
        self._place = place
        self._settings = settings
        self._context = context
        self._ended: dict[str, Found] = {}
        self._removed: list[Found] = []

    def note_end(self, found: Found) -> None:
        """All of it was read; not yet committed."""
        if self._settings.after != "keep":
            self._ended[stream_of(found)] = found

    def note_committed(self, positions: Mapping[str, Position | None]) -> None:
        """The hub has these positions: that of an object that ended is gone."""
        due = [stream for stream, position in positions.items() if position is None and stream in self._ended]
        self._put_away([self._ended.pop(stream) for stream in due])

    def put_away(self, objects: Sequence[Found]) -> None:
        """Objects that a listing shows, and that are done."""
        self._put_away([found for found in objects if stream_of(found) not in self._ended])

    def take_removed(self) -> list[Found]:
        """What has been put away since the last call."""
        removed, self._removed = self._removed, []
        return removed

    def _put_away(self, objects: Sequence[Found]) -> None:
        for found in objects:
            if self._context.stopping.is_set():
                return  # a later listing finds what is left
            try:
                if self._place.look(found.name).version != found.version:
                    continue  # another by now: the next listing says what becomes of it
                if self._settings.after == "delete":
                    self._place.delete(found.name)
                elif self._settings.move_to is not None:
                    self._place.move(found.name, self._settings.move_to)
                self._context.environment.fail.hit("objects.put-away")
            except Gone:
                pass
            except (ConnectorError, SystemUnavailable) as error:
                self._context.report(f"{error.message}; it is tried again later")
                continue
            self._removed.append(found)
