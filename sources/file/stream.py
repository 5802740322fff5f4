"""One stream: a run of content, followed through the files that hold it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ingest.sources.file.content import Content
from ingest.sources.file.discovery import Found
from ingest.sources.file.encoding import MARK_BYTES, Encoding, begin
from ingest.sources.file.fingerprint import BLOCK_BYTES, Bytes, crc32c
from ingest.sources.file.lines import Cut, cut
from ingest.sources.file.position import FilePosition
from ingest.sources.file.prefix import PrefixCheck
from ingest.sources.file.rules import Flush, LineRules


class ContentChanged(Exception):
    """The file no longer holds what the stream has delivered from it."""


@dataclass(slots=True)
class Following:
    """What is known of the file that holds a stream now."""

    found: Found
    changed_ms: int
    """Monotonic: when its size or time was last seen to change."""
    left_scan: int | None = None
    """The scan that no longer found it under any name; it is read to its end through the open handle."""


class Stream:
    """Reads records after its position. Not thread-safe.

    ``file`` is None once the stream is lost. ``content`` is open only while needed.
    """

    def __init__(self, name: str, position: FilePosition, rules: LineRules, encoding: str) -> None:
        self.name = name
        self.position = position
        self.first: Bytes = np.empty(0, np.uint8)
        """The first bytes of the file, as long as nothing of it was delivered."""
        self.file: Following | None = None
        self.content: Content | None = None
        self.check: PrefixCheck | None = None
        """Unfinished business before the next read: compressed content is compared from its beginning."""
        self.exhausted = False
        """All that the file held at the last look was read."""
        self.rest = 0
        """Bytes after the position that are held back because they may go on."""
        self.tried = Flush.HOLD
        self.last_found: Found | None = None
        """The file as it was when the stream was lost."""
        self.lost_scan = 0
        self.replaced_at = 0
        """The scan at which its file's name was seen to lead elsewhere."""
        self.has_other_name = False
        """When that was seen, the file itself still existed under a name that the globs do not cover."""
        self.served_at = 0
        """The poll that last read from it."""
        self.blocked_at = 0
        """The scan since which it could not be read; the next scan lifts that."""
        self.read_again = False
        """It was read again from its beginning because its compressed data seemed damaged."""
        self._rules = rules
        self._encoding = encoding
        self._window = 0
        self._held: _Held | None = None

    @property
    def offset(self) -> int:
        return self.position.fingerprint.offset

    @property
    def unread_bytes(self) -> int:
        """How much of its file, as that was at the last look, lies after the position."""
        if self.file is None or self.position.done:
            return 0
        size = self.file.found.size
        if self.position.compression == "none":
            return max(0, size - self.offset)
        if self.content is None:
            return 0 if self.exhausted else size
        return max(0, size - self.content.taken)

    def look_again(self) -> None:
        """The file may have changed: what was known of its end is void."""
        self.exhausted = False
        self.read_again = False
        self.tried = Flush.HOLD

    def close(self) -> None:
        """Closes the file; the stream may be read on after ``content`` is set again."""
        if self.content is not None:
            self.content.close()
        self.content = None
        self.check = None
        self._held = None

    def holds_what_it_held(self) -> bool:
        """Whether the plain file at hand still has the delivered content, as head and last block tell."""
        assert self.content is not None
        print_ = self.position.fingerprint
        length = print_.block_length
        return print_.head_matches(self.content.read(0, length)) and print_.block_matches(
            self.content.read(print_.offset - length, length)
        )

    def verify(self) -> bool:
        """Takes a step of ``check``; true when there is nothing (more) to check. Raises ``ContentChanged``."""
        if self.check is None:
            return True
        answer = self.check.step()
        if answer == "more":
            return False
        if answer in ("other", "short"):
            raise ContentChanged
        self.check = None
        return True

    def read(self, budget: int, flush: Flush) -> Cut | None:
        """The next records, from about ``budget`` bytes; None: a step was taken, nothing to deliver yet.

        Raises ``ContentChanged`` if the file holds other content than it did.
        """
        assert self.content is not None
        back = self.position.fingerprint.block_length
        if not self.verify() or not self.content.prepare(self.offset - back):
            return None
        if flush is Flush.HOLD and self._is_still_one_line(budget):
            return None
        size = max(budget, self._window)
        window = self.content.read(self.offset - back, back + size)
        if not self.position.fingerprint.block_matches(window):
            raise ContentChanged
        at_end = len(window) - back < size
        if not at_end or not self.content.finished:
            flush = Flush.HOLD
        made, consumed, encoding = self._cut(window[back:], flush)
        self._note_end(window[back:], consumed, at_end, flush, made)
        if consumed or made.carry != self.position.carry:
            self.position = replace(
                self.position,
                fingerprint=self.position.fingerprint.advanced(window[: back + consumed]),
                carry=made.carry,
                encoding=encoding,
            )
        return made

    @property
    def needs(self) -> int:
        """The bytes that the next read takes at least: a line did not fit into less."""
        return self._window

    def take_rest(self) -> bytes:
        """What is held back, passed over: it cannot be completed."""
        assert self.content is not None
        print_ = self.position.fingerprint
        back = print_.block_length
        window = self.content.read(self.offset - back, back + self.rest)
        self.position = replace(self.position, fingerprint=print_.advanced(window), carry="")
        self.rest = 0
        return window[back:].tobytes()

    def _cut(self, data: Bytes, flush: Flush) -> tuple[Cut, int, str]:
        """The records in ``data``, the bytes that this takes, and the encoding that is in force."""
        encoding, mark = self.position.encoding, 0
        if not self.offset:
            encoding, mark = begin(self._encoding, data[:MARK_BYTES].tobytes())
        elif not encoding:
            encoding = begin(self._encoding, b"")[0]
        made = cut(data[mark:], self.offset + mark, Encoding(encoding), self._rules, self.position.carry, flush)
        consumed = made.consumed + mark if made.consumed else 0
        return made, consumed, encoding

    def _note_end(self, data: Bytes, consumed: int, at_end: bool, flush: Flush, made: Cut) -> None:
        more = len(made.value) + sum(len(dead.value) for dead in made.dead) >= self._rules.rows
        self.exhausted = at_end and not more
        self.rest = len(data) - consumed if self.exhausted else 0
        self.tried = flush if self.exhausted else Flush.HOLD
        longest = max(self._rules.whole_bytes, self._rules.max_line) + 2 * MARK_BYTES
        # A line that does not fit is read again in a larger window.
        self._window = min(2 * len(data), longest) if not consumed and not at_end else 0
        lone = not consumed and at_end and not self.position.carry and self._rules.grouping is None
        self._held = _Held.of(data) if lone and flush is Flush.HOLD and self.offset else None

    def _is_still_one_line(self, budget: int) -> bool:
        """Whether what was held back has grown without a line end: then it need not be read all over."""
        assert self.content is not None
        held = self._held
        if held is None or self.content.compression != "none":
            return False
        back = min(held.length, BLOCK_BYTES)
        window = self.content.read(self.offset + held.length - back, back + budget)
        fresh = window[back:]
        grown = held.length + len(fresh)
        most = self._rules.max_line if self._rules.split else self._rules.whole_bytes
        if not len(fresh) or len(fresh) == budget or grown > most or crc32c(window[:back]) != held.block:
            return False
        if len(Encoding(self.position.encoding).newlines(fresh)):
            return False
        self._held = held.grown(window)
        self.rest = grown
        self.exhausted = True
        self.tried = Flush.HOLD
        return True


@dataclass(frozen=True, slots=True)
class _Held:
    """The beginning of a line, as long as it has no end: ``block`` is the checksum of its last bytes."""

    length: int
    block: int

    @classmethod
    def of(cls, data: Bytes) -> _Held | None:
        length = len(data) - len(data) % MARK_BYTES
        return cls(length, crc32c(data[max(0, length - BLOCK_BYTES) : length])) if length else None

    def grown(self, window: Bytes) -> _Held:
        """Longer by what ``window`` holds after this one's last block."""
        back = min(self.length, BLOCK_BYTES)
        length = self.length + len(window) - back
        length -= length % MARK_BYTES
        known = window[: back + length - self.length]
        return _Held(length, crc32c(known[max(0, len(known) - min(length, BLOCK_BYTES)) :]))
