"""Which spool files are to be put away, and when: after the hub has them on disk, to their end."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ingest.connectors import Position
from ingest.sources.file.position import FilePosition
from ingest.sources.file.roster import Roster
from ingest.sources.file.spool import Spooler
from ingest.sources.file.stream import Stream


class PuttingAway:
    """Knows the streams whose end is committed; what fails is tried again at the next look."""

    def __init__(self, spooler: Spooler, roster: Roster, restored: Mapping[str, FilePosition]) -> None:
        self._spooler = spooler
        self._roster = roster
        self._names = {name for name, position in restored.items() if position.done}

    def note_end(self, stream: Stream) -> None:
        """Called after each read: once all of a file is read, its position says so."""
        content = stream.content
        whole = stream.exhausted and not stream.rest and content is not None and content.finished
        if whole and not stream.position.done:
            stream.position = replace(stream.position, done=True)
            self._roster.moved.add(stream.name)

    def note_committed(self, positions: Mapping[str, Position | None]) -> None:
        """The hub has these positions."""
        self._names.update(name for name, position in positions.items() if position and position.get("done"))

    def put_away(self) -> None:
        """All that is due."""
        for name in sorted(self._names):
            stream = self._roster.streams.get(name)
            # One that has changed since is read on first, and named again.
            is_due = stream is not None and stream.file is not None and stream.position.done
            if stream is None or not is_due or self._is_over(stream):
                self._names.discard(name)

    def _is_over(self, stream: Stream) -> bool:
        assert stream.file is not None
        path = stream.file.found.path
        try:
            if not self._is_still_whole(stream):
                # It is read on, and done again later.
                stream.position = replace(stream.position, done=False)
                stream.look_again()
                return True
            self._spooler.put_away(Path(path))
        except FileNotFoundError:
            pass
        except OSError as error:
            self._roster.trouble(path, error)
            return False
        self._roster.forget(stream)
        return True

    @staticmethod
    def _is_still_whole(stream: Stream) -> bool:
        """Whether the file is as it was when it was read."""
        assert stream.file is not None
        found = stream.file.found
        status = os.stat(found.path)
        return (status.st_dev, status.st_ino, status.st_size) == (*found.key, found.size)
