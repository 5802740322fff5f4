"""Values that a change does not bring, since its update had not touched them: they stay what they were."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

UNAVAILABLE = "__debezium_unavailable_value"


def unavailable(batch: pa.RecordBatch) -> dict[str, np.ndarray]:
    """The columns in which such values are, each with a mask of its rows."""
    found: dict[str, np.ndarray] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        kind = column.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            marker = pa.scalar(UNAVAILABLE, kind)
        elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            marker = pa.scalar(UNAVAILABLE.encode(), kind)
        else:
            continue
        mask = np.asarray(pc.fill_null(pc.equal(column, marker), False))
        if mask.any():
            found[name] = mask
    return found


def filled(batch: pa.RecordBatch, masks: dict[str, np.ndarray], numbers: np.ndarray) -> pa.RecordBatch:
    """Takes each such value from the nearest row before it that has the same number (of its key) and knows it."""
    order = np.argsort(numbers, kind="stable")
    begins = np.ones(len(order), bool)
    begins[1:] = numbers[order][1:] != numbers[order][:-1]
    ranks = np.arange(len(order))
    for name, mask in masks.items():
        known = np.where(mask[order] & ~begins, 0, ranks)
        sources = np.empty(len(order), np.int64)
        sources[order] = order[np.maximum.accumulate(known)]
        place = batch.schema.get_field_index(name)
        batch = batch.set_column(place, batch.schema.field(place), batch.column(place).take(pa.array(sources)))
    return batch


def by_missing_columns(masks: dict[str, np.ndarray], count: int) -> list[tuple[frozenset[str], np.ndarray]]:
    """The rows in groups that lack the same columns; those that lack none come first."""
    codes = np.zeros(count, np.int64)
    names = list(masks)
    for bit, name in enumerate(names):
        codes |= masks[name].astype(np.int64) << bit
    return [
        (frozenset(name for bit, name in enumerate(names) if code >> bit & 1), np.flatnonzero(codes == code))
        for code in np.unique(codes).tolist()
    ]
