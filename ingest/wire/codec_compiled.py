"""The record codec by the compiled kernel; the same functions as ``codec_numpy``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

import ingest.wire._codec as kernel
from ingest.errors import CorruptBatch
from ingest.wire.arrow_buffers import Bytes, addresses, as_binary, binary_array
from ingest.wire.batch import HEADER_BYTES, BatchHeader
from ingest.wire.columns import RecordColumns
from ingest.wire.record_headers import checked, header_bytes, header_lists


def prepare(columns: RecordColumns) -> Any:
    """The columns' buffers, taken once for however many batches they become."""
    values = as_binary(columns.values)
    keys = None if columns.keys is None else as_binary(columns.keys)
    lists = names = header_values = None
    if columns.headers is not None:
        lists = checked(columns.headers)
        names, header_values = lists.values.field(0), lists.values.field(1)
    arrays = (values, keys, lists, names, header_values)
    found = [None if array is None else addresses(array) for array in arrays]
    return kernel.Encoder(
        arrays,
        *found[:2],
        np.ascontiguousarray(columns.timestamps, np.int64),
        None if columns.offsets is None else np.ascontiguousarray(columns.offsets, np.int64),
        header_bytes(columns.common_headers),
        len(columns.common_headers),
        *found[2:],
    )


def encode_records(
    prepared: Any, start: int, limit_bytes: int, base_offset: int, base_timestamp: int
) -> tuple[bytearray, int, int]:
    """As many records from ``start`` as fit into a batch of ``limit_bytes``, behind room for its header.

    Returns (batch, records in it, largest timestamp); no record if the first alone does not fit.
    """
    found: tuple[bytearray, int, int] = prepared.encode(start, limit_bytes, HEADER_BYTES, base_offset, base_timestamp)
    return found


def decode_records(section: Any, header: BatchHeader, position: int, want_headers: bool) -> RecordColumns:
    """The records of an uncompressed section below 2 GiB; raises ``CorruptBatch`` for what cannot be read."""
    count = header.record_count
    timestamps, offsets = np.empty((2, count), np.int64)
    key_starts, value_starts = np.empty((2, count), np.int32)
    key_offsets, value_offsets = np.empty((2, count + 1), np.int32)
    bad, totals = kernel.scan(
        section,
        count,
        header.last_offset_delta,
        header.base_timestamp,
        header.base_offset,
        timestamps,
        offsets,
        key_starts,
        key_offsets,
        value_starts,
        value_offsets,
    )
    if bad >= 0:
        raise CorruptBatch(f"batch at byte {position}: record {bad} cannot be read", position=position, record=bad)
    keys = None
    if totals["key_nulls"] < count:
        keys = _gathered(section, key_starts, key_offsets, totals["key_bytes"], totals["key_nulls"])
    values = _gathered(section, value_starts, value_offsets, totals["value_bytes"], totals["value_nulls"])
    headers = _headers(section, count, totals) if want_headers and totals["headers"] else None
    return RecordColumns(values=values, keys=keys, timestamps=timestamps, headers=headers, offsets=offsets)


def murmur2(keys: pa.Array) -> Any:
    """Kafka's hash of each key, int32; the array holds no null."""
    out = np.empty(len(keys), np.int32)
    kernel.murmur2(keys, addresses(keys), out)
    return out


def _bitmap(count: int) -> Bytes:
    return np.zeros((count + 7) // 8, np.uint8)


def _gathered(section: Any, starts: Any, offsets: Any, size: int, nulls: int) -> pa.Array:
    data, validity = np.empty(size, np.uint8), _bitmap(len(starts)) if nulls else None
    kernel.gather(section, starts, offsets, data, validity)
    return binary_array(offsets, data, validity)


def _headers(section: Any, count: int, totals: dict[str, int]) -> pa.Array:
    lists, number = np.empty(count + 1, np.int32), totals["headers"]
    names, name_offsets = np.empty(totals["name_bytes"], np.uint8), np.empty(number + 1, np.int32)
    values, value_offsets = np.empty(totals["header_bytes"], np.uint8), np.empty(number + 1, np.int32)
    validity = _bitmap(number)
    kernel.gather_headers(section, lists, names, name_offsets, values, value_offsets, validity)
    return header_lists(lists, binary_array(name_offsets, names, None), binary_array(value_offsets, values, validity))
