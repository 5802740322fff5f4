"""``--until-caught-up`` for files: each to its end, as that was when the run reached it."""

from __future__ import annotations

from collections.abc import Iterable

from ingest.sources.file.ending import LAST_LINE_MS, is_whole
from ingest.sources.file.roster import Roster
from ingest.sources.file.rules import Flush
from ingest.sources.file.stream import Stream


class CaughtUp:
    """Keeps account of one run: the files that stood at its first look, and which of them are drained."""

    def __init__(self, restored: Iterable[str]) -> None:
        self._names = set(restored)
        self._files: set[tuple[int, int]] = set()
        self._ends: dict[str, int] = {}
        self._drained: set[str] = set()

    def begin(self, files: Iterable[tuple[int, int]]) -> None:
        """Called after the first look with the files it found: later ones are left to the next run."""
        self._files = set(files)

    def wants(self, stream: Stream) -> bool:
        """Whether there may still be something to read for this run."""
        if stream.position.key in self._files:
            self._names.add(stream.name)
        return stream.name in self._names and stream.name not in self._drained

    def flush(self, stream: Stream, quiet_ms: int) -> Flush:
        """What of a file's end may be delivered."""
        return Flush.ALL if quiet_ms >= LAST_LINE_MS and is_whole(stream) else Flush.HOLD

    def note(self, stream: Stream) -> None:
        """Called after each read of ``stream``."""
        assert stream.file is not None
        if self._is_drained(stream):
            self._drained.add(stream.name)

    def _is_drained(self, stream: Stream) -> bool:
        assert stream.file is not None
        whole = not stream.rest or stream.tried is Flush.ALL
        if stream.position.compression != "none":
            ended = stream.content is not None and stream.content.finished
            told = stream.position.told == stream.file.found.size
            return stream.exhausted and (told or (ended and whole))
        end = self._ends.setdefault(stream.name, stream.file.found.size)
        if not stream.exhausted:
            return stream.offset >= end
        return whole or stream.offset + stream.rest > end

    def is_done(self, roster: Roster) -> bool:
        """Whether everything that stood there at the beginning was read."""
        if any(self.wants(stream) for stream in roster.following.values()):
            return False
        return not any(
            candidate.found.size and key in self._files and candidate.found.path not in roster.troubles
            for key, candidate in roster.waiting.items()
            if candidate.content is None or not candidate.content.finished or len(candidate.first)
        )
