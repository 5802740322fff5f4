"""Is an unknown file a new stream, or the continuation of one that lost its file?

The order of questions, for a file with content:

1. It begins with all that a lost stream has delivered: it continues that stream.
2. It may yet become such a continuation (it is still short and growing, or the stream's old file is still
   being read to its end): it waits.
3. It looks like a copy of a file that still stands: it waits until nothing has changed for ``rotate_wait``.
4. Else it is a stream of its own.

docs/decisions/file-identity.md tells why.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from random import Random

from ingest.sources.file.candidate import Candidate
from ingest.sources.file.family import are_kin
from ingest.sources.file.from_end import End, end_of
from ingest.sources.file.handles import Vanished, content_of, open_found
from ingest.sources.file.head_index import HeadIndex
from ingest.sources.file.lost import LostStreams, is_weak
from ingest.sources.file.position import FilePosition
from ingest.sources.file.roster import Roster, shown
from ingest.sources.file.stream import Stream

LONGEST_WAIT = 60
"""Times ``rotate_wait``: even a copy that keeps growing is judged after this."""

MOST_COMPARED = 64
"""With more files that begin as a new one does, its bytes are not held against each of them."""


class Judge:
    """Decides on the candidates of a roster, the oldest first."""

    def __init__(self, roster: Roster, random: Random, *, settle_ms: int) -> None:
        self._roster = roster
        self._random = random
        self._settle_ms = settle_ms
        """How long a spool file must be quiet to be taken for whole."""

    def judge_all(self) -> bool:
        """One step for each candidate; true if a step is left that needs no waiting."""
        candidates = [one for one in self._roster.waiting.values() if one.found.size]
        if not candidates:
            return False
        candidates.sort(key=lambda one: (one.found.mtime_ns, one.found.path))
        busy = False
        self._standing = HeadIndex(self._roster.following.values())
        self._lost = LostStreams(self._roster)
        for candidate in candidates:
            try:
                busy = self._judge(candidate) or busy
            except Vanished:
                candidate.close()
            except OSError as error:
                candidate.close()
                self._roster.trouble(candidate.found.path, error)
        return busy

    def _judge(self, candidate: Candidate) -> bool:
        if not self._has_content(candidate):
            return False
        if self._roster.settings.spool is not None:
            if self._quiet_ms(candidate) >= self._settle_ms:
                self._begin(candidate)
            return False
        if candidate.from_end:
            return self._begin_at_end(candidate)
        if candidate.check is not None:
            return self._compare(candidate)
        growing = not candidate.gone and self._waited_ms(candidate) < self._roster.settings.rotate_wait
        verdict = self._continue_lost(candidate, growing)
        if verdict is not None:
            return verdict
        # A copy that is gone before it was judged is none of our business; a file of its own is read to its end.
        if not self._has_original(candidate, growing or candidate.gone):
            self._begin(candidate)
        return False

    def _continue_lost(self, candidate: Candidate, growing: bool) -> bool | None:
        """Begins to compare the candidate with a lost stream; None if there is none to compare it with."""
        for stream in self._lost.that_fit(candidate):
            if is_weak(stream) and self._is_explained_otherwise(candidate, stream):
                return None
            answer = candidate.may_continue(stream)
            if answer:
                candidate.compare_with(stream)
                return self._compare(candidate)
            if answer is None and self._may_become_longer(candidate, growing):
                return False
        return None

    def _may_become_longer(self, candidate: Candidate, growing: bool) -> bool:
        """Whether a file too short to be compared is given time: a live log that grows must not wait for ever
        because one that is gone began alike; nobody writes records to a compressed one."""
        assert candidate.content is not None
        waited_ms = self._roster.moment.now_ms - candidate.first_ms
        packed = candidate.content.compression != "none"
        return growing and (packed or waited_ms < self._roster.settings.rotate_wait)

    def _has_content(self, candidate: Candidate) -> bool:
        if not self._open(candidate):
            return False
        if candidate.look():
            return True
        content = candidate.content
        if content is not None and not content.finished and self._quiet_ms(candidate) >= self._settle_ms:
            reason = f"its {content.compression} data ends before any content"
            self._roster.trouble(candidate.found.path, reason)
        return False

    def _open(self, candidate: Candidate) -> bool:
        if candidate.content is None:
            final = self._quiet_ms(candidate) >= self._settle_ms
            fd = open_found(candidate.found)
            self._roster.fine(candidate.found.path)
            candidate.content = content_of(fd, self._roster.settings.compression, final)
        return candidate.content is not None

    def _quiet_ms(self, candidate: Candidate) -> int:
        moment = self._roster.moment
        return max(moment.now_ms - candidate.changed_ms, moment.wall_ms - candidate.found.mtime_ns // 1_000_000)

    def _waited_ms(self, candidate: Candidate) -> int:
        """Since the candidate last changed, or at most ``LONGEST_WAIT`` since it was first seen."""
        now = self._roster.moment.now_ms
        waited = now - candidate.first_ms
        longest = LONGEST_WAIT * self._roster.settings.rotate_wait
        return waited if waited >= longest else now - max(candidate.changed_ms, candidate.first_ms)

    def _compare(self, candidate: Candidate) -> bool:
        """A step of comparing all that the stream has delivered; true if more steps are needed."""
        check, stream = candidate.check, candidate.checked_for
        assert check is not None
        assert stream is not None
        if stream.file is not None or stream.name not in self._roster.streams:
            candidate.check = candidate.checked_for = None
            return True
        answer = check.step()
        if answer == "more":
            return True
        if answer == "same":
            content, candidate.content = candidate.content, None
            del self._roster.waiting[candidate.found.key]
            self._roster.attach(stream, candidate.found, content)
            self._standing.add(stream)
            return False
        candidate.note_answer(False if answer == "other" else None)
        return True

    def _is_explained_otherwise(self, candidate: Candidate, lost: Stream) -> bool:
        """Whether it looks like a turn of a log that stands, rather than of the ``lost`` one."""
        path = candidate.found.path
        if are_kin(path, lost.position.path):
            return False
        alike = self._standing.alike(candidate.first)
        return any(
            are_kin(path, stream.position.path) and self._is_copy_of(stream, candidate, True) for stream in alike
        )

    def _has_original(self, candidate: Candidate, waits: bool) -> bool:
        """Whether there is a file that the candidate looks like a copy of, or so many that it is not worth
        finding out before it has grown or waited."""
        for count, stream in enumerate(self._standing.alike(candidate.first)):
            if count == MOST_COMPARED:
                return waits
            if self._is_copy_of(stream, candidate, waits):
                return True
        return False

    def _is_copy_of(self, stream: Stream, candidate: Candidate, waits: bool) -> bool:
        """Whether the candidate is to wait for what becomes of the file of ``stream``."""
        leaving = stream.file is not None and stream.file.left_scan is not None
        return (leaving or waits) and self._roster.ensure_open(stream) and candidate.looks_like_copy(stream)

    def _begin(self, candidate: Candidate, end: End | None = None) -> None:
        """A new stream, read from its beginning or from its ``end``."""
        found = candidate.found
        name = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        position = FilePosition(shown(found.path), found.device, found.inode)
        if end is not None:
            position = replace(position, fingerprint=end.fingerprint, encoding=end.encoding)
            self._roster.moved.add(name)
        stream = Stream(name, position, self._roster.rules, self._roster.settings.encoding)
        stream.first = candidate.first
        content, candidate.content = candidate.content, None
        del self._roster.waiting[found.key]
        self._roster.attach(stream, found, content)
        self._standing.add(stream)

    def _begin_at_end(self, candidate: Candidate) -> bool:
        roster = self._roster
        end = end_of(candidate, roster.settings.encoding, roster.rules.max_line)
        if end is None:
            return True
        self._begin(candidate, end)
        return False
