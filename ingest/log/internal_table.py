"""A compacted topic of the hub's own as keys and values: read whole at opening, written in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from ingest.log.readable import ReadableLog
from ingest.wire.batch import whole_batches
from ingest.wire.codec import decode_batch, encode_batches
from ingest.wire.columns import RecordColumns

_READ_BYTES = 4 * 1024 * 1024
_BATCH_BYTES = 16 * 1024 * 1024

Entry = tuple[bytes, bytes | None]


def entries_of(log: ReadableLog, start: int = 0) -> Iterator[Entry]:
    """Keys and values (None: removed) from ``start`` on in log order, up to the high watermark."""
    offset = max(start, log.log_start_offset)
    while offset < log.high_watermark:
        found = log.read(offset, _READ_BYTES, committed=False)
        for position, header in whole_batches(found.buffer):
            if not header.is_control:
                columns = decode_batch(found.buffer, header, position, want_headers=False)
                yield from _pairs(columns)
        if found.end <= offset:
            return
        offset = found.end


def latest_of(log: ReadableLog) -> dict[bytes, bytes]:
    """The latest value of each key; removed keys are left out."""
    table: dict[bytes, bytes] = {}
    for key, value in entries_of(log):
        # Taken out first, so that the order of the table is that of the latest writes.
        table.pop(key, None)
        if value is not None:
            table[key] = value
    return table


def encode_entries(entries: Sequence[Entry], now_ms: int) -> bytearray:
    """Whole batches, ready to be appended. Raises ``TooLarge`` if one entry is."""
    keys, values = zip(*entries, strict=True)
    columns = RecordColumns(
        values=pa.array(values, pa.binary()),
        keys=pa.array(keys, pa.binary()),
        timestamps=np.full(len(entries), now_ms, np.int64),
        headers=None,
    )
    return bytearray().join(encode_batches(columns, max_batch_bytes=_BATCH_BYTES))


def _pairs(columns: RecordColumns) -> Iterator[Entry]:
    if columns.keys is None:
        return
    for key, value in zip(columns.keys.to_pylist(), columns.values.to_pylist(), strict=True):
        if key is not None:
            yield key, value
