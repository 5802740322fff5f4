"""Where reading begins with ``start_at: end``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ingest.sources.file.candidate import Candidate
from ingest.sources.file.encoding import MARK_BYTES, Encoding, begin
from ingest.sources.file.fingerprint import BLOCK_BYTES, Fingerprint

_TO_END = 1 << 62


@dataclass(frozen=True, slots=True)
class End:
    """The end of a file, or the beginning of its last line if that has no end yet."""

    fingerprint: Fingerprint
    encoding: str


def end_of(candidate: Candidate, encoding: str, max_line: int) -> End | None:
    """None: a step was taken on the way there; call again."""
    content = candidate.content
    assert content is not None
    plain = content.compression == "none"
    if not content.prepare(candidate.found.size if plain else _TO_END):
        return None
    in_force, _ = begin(encoding, candidate.first[:MARK_BYTES].tobytes())
    offset = _last_line(candidate, candidate.found.size if plain else content.reached, Encoding(in_force), max_line)
    back = min(BLOCK_BYTES, offset)
    before = content.read(offset - back, back).copy()
    return End(Fingerprint.beginning_at(offset, candidate.first, before), in_force)


def _last_line(candidate: Candidate, end: int, encoding: Encoding, max_line: int) -> int:
    """Where the last line begins that has no end; ``end`` itself if there is none, or it is too far back."""
    content = candidate.content
    assert content is not None
    unit = len(encoding.newline)
    first = max(0, end - max_line, content.kept_from)
    first += -first % unit
    ends = encoding.newlines(np.ascontiguousarray(content.read(first, end - first)))
    if len(ends):
        return first + int(ends[-1]) + unit
    return end if first else 0
