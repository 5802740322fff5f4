"""What is known of a file's content before a position: enough to recognise it elsewhere.

CRC-32C checksums: of the head, of the block that ends at the position, and of everything up to it. The
first two are checked before every read of a file; the third decides whether an unknown file is a copy of
a known one. The head's are several, of growing length, so that a file that is still short can be told
from others, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from crc32c import crc32c as _crc32c
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

HEAD_LENGTHS = (16, 64, 256, 1024)
BLOCK_BYTES = HEAD_LENGTHS[-1]
"""The length of head and block, where the position is that far. Both being the same length, a window
that begins ``block_length`` before the position always holds what the next fingerprint needs."""


def crc32c(data: Bytes, before: int = 0) -> int:
    """Of ``data``, continuing the checksum ``before``."""
    return _crc32c(data.data, before)


def heads_of(first: Bytes) -> dict[int, int]:
    """The checksums of a content that begins with ``first``, by length: the last is of all of it, or of
    ``BLOCK_BYTES``."""
    known = min(len(first), BLOCK_BYTES)
    lengths = [length for length in HEAD_LENGTHS if length < known]
    return {length: crc32c(first[:length]) for length in (*lengths, known) if length}


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Of the content up to ``offset``; ``whole`` covers ``start``..``offset`` (``start`` is not 0 where
    reading began at the end of a file)."""

    offset: int = 0
    start: int = 0
    heads: Mapping[int, int] = field(default_factory=dict)
    block: int = 0
    whole: int = 0

    @property
    def block_length(self) -> int:
        """The length of the block, and of the longest head."""
        return min(BLOCK_BYTES, self.offset)

    def head_matches(self, first: Bytes) -> bool:
        """``first`` begins at byte 0 and has at least ``block_length`` bytes, or it does not match."""
        length = self.block_length
        return len(first) >= length and (not length or crc32c(first[:length]) == self.heads[length])

    def block_matches(self, before: Bytes) -> bool:
        """``before`` begins ``block_length`` bytes before the position."""
        length = self.block_length
        return len(before) >= length and crc32c(before[:length]) == self.block

    def advanced(self, window: Bytes) -> Fingerprint:
        """The fingerprint at the end of ``window``, which begins ``block_length`` before this position."""
        known = self.block_length
        offset = self.offset + len(window) - known
        return Fingerprint(
            offset=offset,
            start=self.start,
            heads=heads_of(window) if known < BLOCK_BYTES else self.heads,
            block=crc32c(window[len(window) - min(BLOCK_BYTES, offset) :]),
            whole=crc32c(window[known:], self.whole),
        )

    @classmethod
    def beginning_at(cls, offset: int, first: Bytes, before: Bytes) -> Fingerprint:
        """Of a file whose reading begins at ``offset``: its head and the block before that are given."""
        length = min(BLOCK_BYTES, offset)
        return cls(offset=offset, start=offset, heads=heads_of(first[:length]), block=crc32c(before[:length]))

    def as_json(self) -> dict[str, Any]:
        """The part of a position that tells content."""
        heads = {str(length): crc for length, crc in self.heads.items()}
        return {"offset": self.offset, "start": self.start, "heads": heads, "block": self.block, "whole": self.whole}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Fingerprint:
        """Raises ``KeyError``, ``TypeError``, ``ValueError`` or ``AttributeError`` on anything else."""
        heads = {int(length): int(crc) for length, crc in value["heads"].items()}
        made = cls(int(value["offset"]), int(value["start"]), heads, int(value["block"]), int(value["whole"]))
        if made.offset < 0 or not 0 <= made.start <= made.offset or (made.offset and made.block_length not in heads):
            raise ValueError("the fingerprint contradicts itself")
        return made
