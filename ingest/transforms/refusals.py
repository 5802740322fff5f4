"""Rows that a transform refuses, with their reasons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ingest.connectors import Records, Rejected, State, Transformed


@dataclass(slots=True)
class Refusals:
    """Collected over the columns of one batch: ``reasons`` by row; of several for a row the first counts."""

    reasons: dict[int, str] = field(default_factory=dict)

    def add(self, rows: Iterable[int] | np.ndarray, reasons: Iterable[str]) -> None:
        for row, reason in zip(rows, reasons, strict=True):
            self.reasons.setdefault(int(row), reason)

    def without(self, rows: np.ndarray) -> Refusals:
        """These refusals but for ``rows``."""
        spared = set(rows.tolist())
        return Refusals({row: reason for row, reason in self.reasons.items() if row not in spared})

    def rejected(self, error: str) -> list[Rejected]:
        """As the contract of transforms has it; empty where nothing was refused."""
        if not self.reasons:
            return []
        rows = sorted(self.reasons)
        return [Rejected(pa.array(rows, pa.int64()), [self.reasons[row] for row in rows], error)]


def without(records: Records, rejected: Sequence[Rejected], state: State | None = None) -> Transformed:
    """The outcome of a batch: ``records``, which still has every row, goes on without those rejected."""
    if rejected:
        keep = np.ones(len(records), dtype=bool)
        for each in rejected:
            keep[each.rows.to_numpy()] = False
        records = records.filter(pa.array(keep))
    return Transformed([records] if len(records) else [], rejected, state)
