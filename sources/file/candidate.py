"""A file that was found and is not yet known: is it new, or does it continue a stream?"""

from __future__ import annotations

import numpy as np

from ingest.sources.file.content import Content
from ingest.sources.file.discovery import Found
from ingest.sources.file.fingerprint import BLOCK_BYTES, Bytes, Fingerprint, heads_of
from ingest.sources.file.prefix import PrefixCheck
from ingest.sources.file.stream import Stream


class Candidate:
    """Waits to be judged. ``content`` is None until it could be opened."""

    def __init__(self, found: Found, scan: int, now_ms: int) -> None:
        self.found = found
        self.first_scan = scan
        self.first_ms = now_ms
        self.changed_ms = now_ms
        self.content: Content | None = None
        self.first: Bytes = np.empty(0, np.uint8)
        self.check: PrefixCheck | None = None
        self.checked_for: Stream | None = None
        self.compared: dict[tuple[str, int, int], bool | None] = {}
        """Streams that it was compared with in vain (their name, their offset, and its own size then): False
        where the content is another, None where it is a beginning of what the stream delivered."""
        self.gone = False
        """No name leads to it any more; it is judged once more, through the open handle."""
        self.from_end = False
        """It stood there at the very first start, and reading begins at its end."""

    def seen(self, found: Found, now_ms: int) -> None:
        """Called at each scan that finds it."""
        if (found.size, found.mtime_ns) != (self.found.size, self.found.mtime_ns):
            self.changed_ms = now_ms
        self.found = found

    def close(self) -> None:
        """Closes the file."""
        if self.content is not None:
            self.content.close()
        self.content = None
        self.check = None
        self.checked_for = None

    def compare_with(self, stream: Stream) -> None:
        """Begins to compare all that ``stream`` has delivered."""
        assert self.content is not None
        self.check = PrefixCheck(self.content, stream.position.fingerprint)
        self.checked_for = stream

    def note_answer(self, answer: bool | None) -> None:
        """The comparison ended in vain."""
        assert self.checked_for is not None
        self.compared[self.checked_for.name, self.checked_for.offset, self.found.size] = answer
        self.check = self.checked_for = None

    def look(self) -> bool:
        """Reads the head, as far as there is one: true if there is something to judge."""
        assert self.content is not None
        if len(self.first) < BLOCK_BYTES:
            self.first = self.content.read(0, BLOCK_BYTES).copy()
        return len(self.first) > 0 or self.content.damage is not None

    def may_continue(self, stream: Stream) -> bool | None:
        """Whether it is worth comparing all of it; None: it is as the stream began, but too short to tell."""
        assert self.content is not None
        expected = stream.position.fingerprint
        known = (stream.name, stream.offset, self.found.size)
        if known in self.compared:
            return self.compared[known]
        if not heads_agree(self.first, expected):
            return False
        if self.content.compression != "none":
            return True  # the comparison itself tells: looking ahead costs as much
        if self.found.size < expected.offset:
            return None
        length = expected.block_length
        return expected.block_matches(self.content.read(expected.offset - length, length))

    def looks_like_copy(self, stream: Stream) -> bool:
        """Whether this file and the file of ``stream`` agree in their heads and where the shorter one ends."""
        assert self.content is not None
        other = stream.content
        if other is None or {self.content.compression, other.compression} != {"none"}:
            return True
        size = min(self.found.size, stream.file.found.size if stream.file else 0)
        head = min(size, BLOCK_BYTES)
        for at, length in ((0, head), (size - head, head)):
            if not np.array_equal(self.content.read(at, length).copy(), other.read(at, length)):
                return False
        return True


def heads_agree(first: Bytes, expected: Fingerprint) -> bool:
    """Whether a content that begins with ``first`` may be the one that ``expected`` is of."""
    lengths = [length for length in expected.heads if length <= len(first)]
    if not lengths:
        return True
    length = max(lengths)
    return heads_of(first[:length])[length] == expected.heads[length]
