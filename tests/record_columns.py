"""Random columns of records, what it means that two of them are the same, and the kernels to hold them against."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from ingest.wire import codec, codec_numpy
from ingest.wire.columns import HEADERS, RecordColumns

KERNELS: list[Any] = [codec_numpy]
try:
    from ingest.wire import codec_compiled

    KERNELS.append(codec_compiled)
except ImportError:
    pass

BYTES = st.none() | st.binary(max_size=12) | st.integers(60, 200).map(lambda size: b"v" * size)
TIMES = st.integers(1_770_000_000_000, 1_770_000_100_000) | st.sampled_from([0, 1, 1_000_000_000_000])
ANY_TIMES = TIMES | st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-1, 2**63 - 1, -(2**63)])
HEADER = st.fixed_dictionaries({"key": st.text(max_size=3), "value": BYTES})


@contextmanager
def using(kernel: Any) -> Iterator[None]:
    """Encodes and decodes by this kernel."""
    before, codec.kernel = codec.kernel, kernel
    try:
        yield
    finally:
        codec.kernel = before


@st.composite
def columns(draw: Any, least: int = 0, most: int = 30, times: Any = ANY_TIMES) -> RecordColumns:
    """Columns of any shape: slices of longer arrays, large types, null lists of headers included."""
    count = draw(st.integers(least, most))
    kind = draw(st.sampled_from([pa.binary(), pa.large_binary()]))
    skipped = draw(st.integers(0, 9))

    def column(items: Any, of: pa.DataType) -> pa.Array:
        values = draw(st.lists(items, min_size=count, max_size=count))
        return pa.array([values[0] if values else None] * skipped + values, of)[skipped:]

    return RecordColumns(
        values=column(BYTES, kind),
        timestamps=np.array(draw(st.lists(times, min_size=count, max_size=count)), np.int64),
        keys=column(BYTES, draw(st.sampled_from([pa.binary(), pa.large_binary()]))) if draw(st.booleans()) else None,
        headers=column(st.none() | st.lists(HEADER, max_size=3), HEADERS) if draw(st.booleans()) else None,
        common_headers=tuple(draw(st.lists(st.tuples(st.text(max_size=4), BYTES), max_size=2))),
    )


def some(count: int = 3) -> RecordColumns:
    """Plain records: every second without a key, an hour's worth of times."""
    return RecordColumns(
        values=pa.array([f"value {number}".encode() for number in range(count)], pa.binary()),
        timestamps=np.arange(count, dtype=np.int64) + 1_770_000_000_000,
        keys=pa.array([None if number % 2 else b"k" for number in range(count)], pa.binary()),
    )


def rows(records: RecordColumns) -> list[tuple[Any, ...]]:
    """Each record as (timestamp, key, value, headers)."""
    count = len(records)
    keys = records.keys.to_pylist() if records.keys is not None else [None] * count
    own = records.headers.to_pylist() if records.headers is not None else [[]] * count
    common = list(records.common_headers)
    headers = [common + [(item["key"], item["value"]) for item in row or []] for row in own]
    return list(zip(records.timestamps.tolist(), keys, records.values.to_pylist(), headers, strict=True))
