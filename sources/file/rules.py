"""How a file's bytes are cut into records, and what a cut refuses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ingest.sources.file.multiline import Grouping

Index = NDArray[np.int64]


class Flush(IntEnum):
    """What to do with what may still grow at the end of the data."""

    HOLD = 0
    GROUPS = 1
    """Deliver an open multi-line record; hold a line without its end."""
    ALL = 2
    """Deliver a line without its end, too."""


Carry = Literal["", "line", "dead"]
"""Where a position stands inside a line: ``line`` after a record that was delivered without its line end
(which is skipped if it comes after all), ``dead`` inside a line too long for one dead letter."""


@dataclass(frozen=True, slots=True)
class LineRules:
    """How to cut. ``whole_bytes`` is the largest dead letter; ``rows`` the most records of one cut."""

    max_line: int
    split: bool = False
    undecodable: Literal["dead-letter", "replace", "bytes"] = "dead-letter"
    grouping: Grouping | None = None
    whole_bytes: int = 8 * 1024 * 1024
    rows: int = 1 << 31

    @property
    def value_type(self) -> pa.DataType:
        """Of the records: text, or bytes where nothing is decoded."""
        return pa.binary() if self.undecodable == "bytes" else pa.string()

    @property
    def long_reason(self) -> str:
        return f"longer than max_line ({self.max_line} bytes)"


@dataclass(frozen=True, slots=True)
class Dead:
    """Refused lines: their bytes as they stand in the file."""

    value: pa.Array
    positions: Index
    reason: str
    error: str

    def moved(self, by: int) -> Dead:
        """The same, ``by`` bytes later in the content."""
        return replace(self, positions=self.positions + by)
