"""The contract of a parser, and how its columns become the outcome of a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.connectors import TIMESTAMP, Records, State, Transformed
from ingest.transforms.columns import with_columns
from ingest.transforms.refusals import Refusals

PARSE_FAILED = "ParseFailed"


class Parser(ABC):
    """One format. Called with batches of one stream at a time; holds nothing between calls but caches.

    A line that is not in the format is refused with a reason that says what was expected where; whatever
    it holds (an open quote above all) ends with it and never takes the next line along.
    """

    stateful: bool = False
    """True if the columns are named by earlier lines of the stream; see ``Transform.stateful``."""

    @abstractmethod
    def parse(self, records: Records, lines: pa.StringArray, state: State) -> Transformed:
        """``lines`` are the values of ``records`` as text, null for a tombstone, which goes on as one."""


def parsed(
    records: Records,
    columns: pa.RecordBatch,
    refusals: Refusals,
    *,
    timestamp: pa.Array | None = None,
    no_records: np.ndarray | None = None,
) -> Transformed:
    """The usual end of ``Parser.parse``: ``columns`` has a row per line, whatever became of the line.

    ``timestamp`` is the time that was parsed; where it is null the record keeps the one it had.
    ``no_records`` marks lines that are none (comments, headers): they are left out without a trace.
    A tombstone is no line: it goes on, whatever ``refusals`` says of it.
    """
    tombstones = pc.is_null(records.value) if records.value.null_count else None
    after = replace(with_columns(records, columns), timestamp=_timestamp(records, timestamp))
    if tombstones is not None:
        refusals = refusals.without(np.flatnonzero(tombstones.to_numpy(zero_copy_only=False)))
    dropped = np.zeros(len(records), dtype=bool) if no_records is None else no_records.copy()
    dropped[list(refusals.reasons)] = True
    if dropped.any():
        after = after.filter(pa.array(~dropped))
    return Transformed([after] if len(after) else [], refusals.rejected(PARSE_FAILED))


def _timestamp(records: Records, found: pa.Array | None) -> pa.Array | None:
    if found is None:
        return records.timestamp
    if found.type != TIMESTAMP:
        found = pc.cast(found, TIMESTAMP, safe=False)
    if found.null_count and records.timestamp is not None:
        return pc.coalesce(found, records.timestamp)
    return found
