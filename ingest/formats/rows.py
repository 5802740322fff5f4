"""Keeping count of which rows of the input are still there after some were refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa

from ingest.connectors import Records, Rejected
from ingest.formats.format import rejected


def remaining(records: Records, rows: np.ndarray, refused: Sequence[Rejected]) -> tuple[Records, np.ndarray]:
    """The records that none of ``refused`` names, and their ``rows``."""
    if not refused:
        return records, rows
    keep = mask_without(len(records), (row for each in refused for row in each.rows.to_pylist()))
    return records.filter(pa.array(keep)), rows[keep]


def with_reasons(rows: np.ndarray, reasons: Mapping[int, str], error: str) -> list[Rejected]:
    """``reasons`` by index into ``rows``, as one ``Rejected`` of the numbers that stand there; [] for none."""
    return [rejected(rows[list(reasons)], list(reasons.values()), error)] if reasons else []


def mask_without(length: int, rows: Iterable[int]) -> np.ndarray:
    """All true but for ``rows``."""
    keep = np.ones(length, dtype=bool)
    keep[list(rows)] = False
    return keep
