"""What a reader of one object hands over, whatever its format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa


class Unreadable(Exception):
    """The object is not what its format says, from here on; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Bad:
    """A record that cannot be read: its bytes, where it begins, and why."""

    content: bytes
    at: int
    reason: str


@dataclass(frozen=True, slots=True)
class Piece:
    """Some records in their order. ``at`` (int64) is where each begins: a byte of the content, or a row.
    ``place`` is where to go on after them, JSON values only."""

    value: pa.Array
    at: pa.Array
    place: Mapping[str, Any]
    bad: Sequence[Bad] = ()


class ObjectReader(ABC):
    """Reads one object from a place on; closed by who made it."""

    @abstractmethod
    def read(self, max_bytes: int) -> Piece | None:
        """The next records, of about so many bytes and at least one; None at the end. Raises ``Unreadable``."""

    @abstractmethod
    def close(self) -> None:
        """Frees what is open."""
