"""The streams of a source and the files that hold them: who is who after each look at the folders.

Every stream is *followed* (a file with a name holds it), *leaving* (its file lost its name and is read
to its end through the open handle) or *lost* (no file holds it; one with the same content may turn up).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ingest.sources.file.candidate import Candidate
from ingest.sources.file.content import Content, open_content
from ingest.sources.file.discovery import Discovered, Found, Globs
from ingest.sources.file.fingerprint import BLOCK_BYTES
from ingest.sources.file.handles import Vanished, close_quiet, limit_of, open_found
from ingest.sources.file.position import FilePosition
from ingest.sources.file.prefix import PrefixCheck
from ingest.sources.file.rules import LineRules
from ingest.sources.file.settings import FileSettings
from ingest.sources.file.stream import Following, Stream

OVERWRITTEN = (0, 0)
"""Stands for device and inode of a lost stream whose file now holds something else."""
MOST_LOST = 10_000
"""So many vanished files are remembered; beyond that the oldest are forgotten."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One look: its number, monotonic and wall time."""

    scan: int
    now_ms: int
    wall_ms: int


class Roster:
    """Knows all streams. Used by one thread."""

    def __init__(
        self, settings: FileSettings, rules: LineRules, globs: Globs, report: Callable[[str], None], *, drain_ms: int
    ) -> None:
        self.streams: dict[str, Stream] = {}
        self.following: dict[tuple[int, int], Stream] = {}
        self.waiting: dict[tuple[int, int], Candidate] = {}
        self.moved: set[str] = set()
        """Streams whose position changed without a record, to be committed."""
        self.forgotten: set[str] = set()
        self.troubles: dict[str, str] = {}
        """What could not be read at the last look, by path."""
        self._told: dict[str, str] = {}
        self.settings = settings
        self.rules = rules
        self.moment = Moment(0, 0, 0)
        self.drain_ms = drain_ms
        """How long a file that lost its name must be quiet to be given up."""
        self._globs = globs
        self._report = report
        self._most_open = limit_of(settings.max_open_files)

    @property
    def lost(self) -> list[Stream]:
        """Streams that no file holds."""
        return [stream for stream in self.streams.values() if stream.file is None]

    def restore(self, positions: Mapping[str, FilePosition]) -> None:
        """Takes over what the hub has; files are looked for at the first scan."""
        for name, position in positions.items():
            self.streams[name] = Stream(name, position, self.rules, self.settings.encoding)

    def look(self, now_ms: int, wall_ms: int) -> Discovered:
        """Looks at the folders and brings all known streams up to date; strangers become candidates."""
        self.moment = Moment(self.moment.scan + 1, now_ms, wall_ms)
        discovered = self._globs.discover()
        self.troubles = {}
        for path, reason in discovered.troubles.items():
            self.trouble(path, reason)
        for path, reason in discovered.ignored.items():
            self._tell(path, f"{shown(path)} is left alone: {reason}")
        if self.moment.scan == 1:
            self._find_again(discovered)
            for pattern in discovered.matchless:
                self._report(f"no file matches {shown(pattern)} yet")
        for stream in list(self.following.values()):
            found = discovered.files.get(stream.position.key)
            if found is not None:
                self._still_there(stream, found)
            elif not _hidden(stream, discovered):
                self._gone(stream)
        self._meet(discovered)
        return discovered

    def tidy(self) -> None:
        """After each look and its judgements: forgets what cannot matter any more, closes quiet files."""
        close_quiet(self.following.values(), self._most_open)
        lost = sorted(self.lost, key=lambda stream: stream.position.lost_ms or 0)
        oldest = self.moment.wall_ms - self.settings.forget_after
        for index, stream in enumerate(lost):
            aged = (stream.position.lost_ms or 0) < oldest and self.settings.forget_after > 0
            if self.settings.spool or aged or index < len(lost) - MOST_LOST:
                self.forget(stream)

    def forget(self, stream: Stream) -> None:
        """Its position becomes a tombstone."""
        stream.close()
        del self.streams[stream.name]
        self.following = {key: other for key, other in self.following.items() if other is not stream}
        self.moved.discard(stream.name)
        self.forgotten.add(stream.name)

    def unread_bytes(self) -> int:
        """What the files held at the last look and nobody has read. Compressed ones count as they lie on disk."""
        waiting = sum(candidate.found.size for candidate in self.waiting.values() if not candidate.from_end)
        return waiting + sum(stream.unread_bytes for stream in self.following.values())

    def close(self) -> None:
        """Closes all files."""
        for stream in self.streams.values():
            stream.close()
        for candidate in self.waiting.values():
            candidate.close()

    def attach(self, stream: Stream, found: Found, content: Content | None) -> None:
        """From now on ``found`` holds ``stream``."""
        position = stream.position
        compression = content.compression if content is not None else position.compression
        stream.position = replace(
            position,
            path=shown(found.path),
            device=found.device,
            inode=found.inode,
            compression=compression,
            lost_ms=None,
        )
        stream.file = Following(found, self.moment.now_ms)
        stream.replaced_at = 0
        stream.has_other_name = False
        stream.content = content
        stream.look_again()
        self.streams[stream.name] = stream
        self.following[found.key] = stream
        if stream.offset and position != stream.position:
            self.moved.add(stream.name)

    def lose(self, stream: Stream, *, rewritten: bool) -> None:
        """No file holds it any more. ``rewritten``: its file now holds something else, so it must not be
        taken for a continuation, whatever comes to stand in it."""
        self.following.pop(stream.position.key, None)
        stream.close()
        stream.last_found = stream.file.found if stream.file is not None and not rewritten else None
        stream.file = None
        stream.lost_scan = self.moment.scan
        stream.replaced_at = stream.replaced_at or self.moment.scan
        key = OVERWRITTEN if rewritten else stream.position.key
        stream.position = replace(stream.position, lost_ms=self.moment.wall_ms, device=key[0], inode=key[1])
        if stream.offset:
            self.moved.add(stream.name)
        else:
            del self.streams[stream.name]

    def ensure_open(self, stream: Stream) -> bool:
        """Opens the stream's file if it is not open; false if that is impossible at the moment."""
        if stream.content is not None:
            return True
        assert stream.file is not None
        try:
            fd = open_found(stream.file.found)
        except Vanished:
            return False
        except OSError as error:
            self.trouble(stream.file.found.path, error)
            return False
        self.fine(stream.file.found.path)
        stream.content = open_content(fd, stream.position.compression)
        if stream.position.compression != "none" and stream.offset:
            stream.check = PrefixCheck(stream.content, stream.position.fingerprint)
        return True

    def trouble(self, path: str, error: OSError | str) -> None:
        """``path`` cannot be read: told once, tried again at each look."""
        reason = error if isinstance(error, str) else error.strerror or str(error)
        self.troubles[path] = reason
        self._tell(path, f"cannot read {shown(path)}: {reason}; it is tried again")

    def fine(self, path: str) -> None:
        """``path`` can be read: should that change, it is told again."""
        self._told.pop(path, None)

    def _tell(self, path: str, sentence: str) -> None:
        if self._told.get(path) != sentence:
            self._told[path] = sentence
            self._report(sentence)

    def _find_again(self, discovered: Discovered) -> None:
        """Positions meet the files of the same inode; what these hold is checked as that of all others."""
        for stream in list(self.streams.values()):
            found = discovered.files.get(stream.position.key)
            if found is not None and stream.position.lost_ms is None and found.key not in self.following:
                stream.file = Following(replace(found, size=-1), self.moment.now_ms)
                self.following[found.key] = stream
            elif stream.position.lost_ms is None:
                self.lose(stream, rewritten=False)

    def _still_there(self, stream: Stream, found: Found) -> None:
        file = stream.file
        assert file is not None
        before = file.found
        file.left_scan = None
        file.found = found
        if found.path != before.path:
            stream.position = replace(stream.position, path=shown(found.path))
            if stream.offset:
                self.moved.add(stream.name)
        if (found.size, found.mtime_ns) != (before.size, before.mtime_ns):
            self._changed(stream, shrunk=found.size < before.size)

    def _changed(self, stream: Stream, *, shrunk: bool) -> None:
        """The file of a stream has another size or time: does it still hold what it held?"""
        assert stream.file is not None
        stream.file.changed_ms = self.moment.now_ms
        stream.look_again()
        packed = stream.position.compression != "none"
        if stream.position.done and (packed or stream.file.found.size != stream.offset):
            stream.position = replace(stream.position, done=False)
        if not self.ensure_open(stream):
            return
        assert stream.content is not None
        if not stream.offset:
            stream.first = stream.content.read(0, BLOCK_BYTES).copy()
            return
        if stream.position.compression != "none":
            if shrunk:
                stream.check = PrefixCheck(stream.content, stream.position.fingerprint)
            return
        try:
            same = stream.holds_what_it_held()
        except OSError as error:
            self.trouble(stream.file.found.path, error)
            return
        if not same:
            self.lose(stream, rewritten=True)

    def _gone(self, stream: Stream) -> None:
        """No name leads to the stream's file."""
        file = stream.file
        assert file is not None
        if stream.content is None:
            self.lose(stream, rewritten=False)
            return
        status = os.fstat(stream.content.fd)
        if file.left_scan is None:
            file.left_scan = stream.replaced_at = self.moment.scan
            stream.has_other_name = status.st_nlink > 0
        now = replace(file.found, size=status.st_size, mtime_ns=status.st_mtime_ns)
        if (now.size, now.mtime_ns) != (file.found.size, file.found.mtime_ns):
            shrunk = now.size < file.found.size
            file.found = now
            self._changed(stream, shrunk=shrunk)
        if stream.file is not None and stream.exhausted and not stream.rest and self.quiet_ms(stream) >= self.drain_ms:
            self.lose(stream, rewritten=False)

    def quiet_ms(self, stream: Stream, *, by_time: bool = False) -> int:
        """How long the stream's file has not been seen to change; ``by_time`` believes its own time, too."""
        if stream.file is None:
            return 0
        seen_ms = self.moment.now_ms - stream.file.changed_ms
        return max(seen_ms, self.moment.wall_ms - stream.file.found.mtime_ns // 1_000_000) if by_time else seen_ms

    def _meet(self, discovered: Discovered) -> None:
        for key, found in discovered.files.items():
            if key in self.following:
                continue
            if key not in self.waiting:
                self.waiting[key] = Candidate(found, self.moment.scan, self.moment.now_ms)
            self.waiting[key].seen(found, self.moment.now_ms)
        for key, candidate in list(self.waiting.items()):
            if key in discovered.files:
                candidate.gone = False
            elif candidate.check is None and (candidate.gone or candidate.content is None):
                self.waiting.pop(key).close()
            else:
                candidate.gone = True


def _hidden(stream: Stream, discovered: Discovered) -> bool:
    """Whether the stream's file may be there, in a folder that cannot be listed at the moment."""
    path = stream.file.found.path if stream.file else ""
    return any(path == trouble or path.startswith(trouble.rstrip("/") + "/") for trouble in discovered.troubles)


def shown(path: str) -> str:
    """``path`` as text that JSON can hold; bytes that are not UTF-8 become ``\\xNN``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
