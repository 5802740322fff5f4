"""Records that could not go on, with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from ingest.connectors.records import Records


@dataclass(frozen=True, slots=True)
class Rejected:
    """Rows of a ``Records`` that a step refuses: ``rows`` (int64) are indices into that step's input,
    ``reasons`` one sentence each, ``error`` the class of failure (``ParseFailed``, ``CastFailed``)."""

    rows: pa.Array
    reasons: Sequence[str]
    error: str


@dataclass(frozen=True, slots=True)
class DeadRecords:
    """Refused by a source before any transform (a line too long, bytes of no known encoding).

    ``records`` holds what there was, value in bytes, with ``origin`` and ``positions`` set.
    """

    records: Records
    reasons: Sequence[str]
    stage: str
    error: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Names one record of the hub that a sink, or a transform before it, refused.

    ``row`` is the row inside the record where one record holds many (format ``arrow``), else 0.
    The bytes stay in the hub until the letter is written: it is read again from there.
    """

    topic: str
    partition: int
    offset: int
    row: int
    stage: str
    error: str
    reason: str


MAX_HELD_BYTES = 16 * 1024 * 1024
"""Dead letters are held in memory until the commit that names them: so many bytes of them make a commit due."""
_LETTER_BYTES = 256  # the value itself, its numbers, its place in a list; topic, stage and error are shared


def held_bytes(letters: Iterable[DeadLetter]) -> int:
    """About what the letters take in memory."""
    return sum(_LETTER_BYTES + len(letter.reason) for letter in letters)
