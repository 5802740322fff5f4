"""Random columns of records, and what it means that two of them are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from ingest.wire.columns import HEADERS, RecordColumns

BYTES = st.none() | st.binary(max_size=12) | st.integers(60, 200).map(lambda size: b"v" * size)
TIMES = st.sampled_from([0, 1, -1, 1_770_000_000_000, 2**62, -(2**62)]) | st.integers(-(2**40), 2**40)
HEADER = st.fixed_dictionaries({"key": st.text(max_size=3), "value": BYTES})


@st.composite
def columns(draw: Any, least: int = 0, most: int = 30) -> RecordColumns:
    """Columns of any shape: slices of longer arrays and large types included."""
    count = draw(st.integers(least, most))
    kind = draw(st.sampled_from([pa.binary(), pa.large_binary()]))
    skipped = draw(st.integers(0, 2))

    def column(items: Any, of: pa.DataType) -> pa.Array:
        values = draw(st.lists(items, min_size=count + skipped, max_size=count + skipped))
        return pa.array(values, of).slice(skipped)

    return RecordColumns(
        column(BYTES, kind),
        np.array(draw(st.lists(TIMES, min_size=count, max_size=count)), np.int64),
        column(BYTES, pa.binary()) if draw(st.booleans()) else None,
        column(st.lists(HEADER, max_size=3), HEADERS) if draw(st.booleans()) else None,
        tuple(draw(st.lists(st.tuples(st.text(max_size=4), BYTES), max_size=2))),
    )


def rows(records: RecordColumns) -> list[tuple[Any, ...]]:
    """Each record as (timestamp, key, value, headers)."""
    count = len(records)
    keys = records.keys.to_pylist() if records.keys is not None else [None] * count
    own = records.headers.to_pylist() if records.headers is not None else [[]] * count
    common = [(name, value) for name, value in records.common_headers]
    headers = [common + [(item["key"], item["value"]) for item in row or []] for row in own]
    return list(zip(records.timestamps.tolist(), keys, records.values.to_pylist(), headers, strict=True))
