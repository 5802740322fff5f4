"""Whether a content begins with what a stream has already delivered."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ingest.sources.file.content import Content
from ingest.sources.file.fingerprint import BLOCK_BYTES, Bytes, Fingerprint, crc32c

_STEP_BYTES = 32 * 1024 * 1024
_EMPTY = np.empty(0, np.uint8)


class PrefixCheck:
    """Compares ``content`` with ``expected``, all of it, in bounded steps: the content may be large.

    Reads forward only and ends where a stream's next read begins, so that a compressed file is
    decompressed once.
    """

    def __init__(self, content: Content, expected: Fingerprint) -> None:
        self.content = content
        self.expected = expected
        self._head_matches = False
        self._at = min(expected.start, expected.offset - expected.block_length)
        self._whole = 0
        self._last = _EMPTY

    def step(self) -> Literal["more", "same", "other", "short"]:
        """``short``: the content is a beginning of what is expected, as far as can be told."""
        if not self._head_matches:
            first = self.content.read(0, self.expected.block_length)
            if not self.expected.head_matches(first):
                return "short" if len(first) < self.expected.block_length else "other"
            self._head_matches = True
        if not self.content.prepare(self._at):
            return "more"
        left = self.expected.offset - self._at
        # The last piece holds the whole last block, from where the stream reads on.
        size = left if left <= _STEP_BYTES + BLOCK_BYTES else _STEP_BYTES
        piece = self.content.read(self._at, size)
        if len(piece) < size:
            return "short"
        self._take(piece)
        if self._at < self.expected.offset:
            return "more"
        whole = self._whole == self.expected.whole and self.expected.block_matches(self._last)
        return "same" if whole else "other"

    def _take(self, piece: Bytes) -> None:
        counted = piece[max(0, self.expected.start - self._at) :]
        self._whole = crc32c(counted, self._whole)
        self._last = piece[max(0, len(piece) - self.expected.block_length) :]
        self._at += len(piece)
