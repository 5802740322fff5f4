"""The record codec by the compiled kernel; the same two functions as ``codec_numpy``."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ingest.errors import CorruptBatch
from ingest.wire import _codec  # type: ignore[attr-defined]  # compiled
from ingest.wire.arrow_buffers import Flat, binary_array, flat
from ingest.wire.batch import HEADER_BYTES, BatchHeader
from ingest.wire.columns import HEADERS, RecordColumns
from ingest.wire.varint import encode_varint

_INT32_MAX = 2**31 - 1
_LEAST = 7  # bytes for the numbers of one record, at the least
_MOST = 36  # and at the most: five varints of up to 5, one of up to 10, the attributes


class Prepared(NamedTuple):
    """Columns as flat buffers, taken once for however many batches they become."""

    rows: int
    values: Flat
    keys: Flat | None
    timestamps: Any
    common: bytes
    common_count: int
    lists: Any
    names: Flat | None
    header_values: Flat | None
    least: Any  # running total of a lower bound of the records' sizes, n + 1 of them
    header_room: int  # how much the numbers of one record's headers may add to it


def prepare(columns: RecordColumns) -> Prepared:
    """Flat buffers of ``columns``."""
    values = flat(columns.values)
    keys = None if columns.keys is None else flat(columns.keys)
    common = b"".join(_header(name, value) for name, value in columns.common_headers)
    lists = names = header_values = None
    if columns.headers is not None:
        lists, names, header_values = _flat_headers(columns.headers)
    timestamps = np.ascontiguousarray(columns.timestamps, np.int64)
    least = values.offsets - values.offsets[0] + np.arange(len(columns) + 1, dtype=np.int64) * (_LEAST + len(common))
    if keys is not None:
        least = least + (keys.offsets - keys.offsets[0])
    header_room = 0
    if lists is not None and names is not None and header_values is not None:
        least = least + names.offsets[lists] + header_values.offsets[lists]
        header_room = 10 * int(np.diff(lists).max(initial=0))
    return Prepared(
        len(columns), values, keys, timestamps, common, len(columns.common_headers), lists, names, header_values,
        least, header_room,
    )  # fmt: skip


def encode_records(prepared: Prepared, start: int, limit_bytes: int) -> tuple[bytearray, int, int]:
    """As many records from ``start`` as fit into a batch of ``limit_bytes``, behind room for its header.

    Returns (batch, records in it, largest timestamp); no record if the first alone does not fit.
    """
    least = prepared.least
    fits = int(np.searchsorted(least, least[start] + limit_bytes - HEADER_BYTES, "right")) - 1
    stop = min(prepared.rows, max(fits, start + 1))
    most = int(least[stop] - least[start]) + (stop - start) * (_MOST - _LEAST + prepared.header_room)
    capacity = max(HEADER_BYTES, min(limit_bytes, HEADER_BYTES + most))
    out = bytearray(capacity)
    keys, names, header_values = prepared.keys, prepared.names, prepared.header_values
    count, used, largest = _codec.encode_some(
        *prepared.values,
        *(keys or (None, None, None)),
        prepared.timestamps,
        prepared.common or None,
        prepared.common_count,
        prepared.lists,
        *((names.data, names.offsets) if names is not None else (None, None)),
        *(header_values or (None, None, None)),
        start,
        stop,
        out,
        HEADER_BYTES,
    )
    del out[used:]
    return out, count, largest


def decode_records(section: Any, header: BatchHeader, position: int, want_headers: bool) -> RecordColumns:
    """The records of an uncompressed section; raises ``CorruptBatch`` for any length that cannot be true."""
    data = np.frombuffer(section, np.uint8)
    count = header.record_count
    timestamps, offsets = np.empty(count, np.int64), np.empty(count, np.int64)
    places, totals = np.empty((count, 6), np.int64), np.zeros(7, np.int64)
    bad = _codec.scan_records(
        data,
        count,
        header.last_offset_delta,
        header.base_timestamp,
        header.base_offset,
        timestamps,
        offsets,
        places,
        totals,
    )
    if bad >= 0:
        raise CorruptBatch(f"batch at byte {position}: record {bad} cannot be read", position=position, record=bad)
    keys = None if totals[1] == count else _gathered(data, places, 0, int(totals[0]), bool(totals[1]))
    values = _gathered(data, places, 2, int(totals[2]), bool(totals[3]))
    headers = _headers(data, places, totals) if want_headers and totals[4] else None
    return RecordColumns(values, timestamps, keys, headers, (), offsets)


def murmur2(keys: Flat) -> Any:
    """Kafka's hash of each key, int32."""
    out = np.empty(len(keys.offsets) - 1, np.int32)
    _codec.murmur2(keys.data, keys.offsets, out)
    return out


def _gathered(data: Any, places: Any, which: int, size: int, nullable: bool) -> pa.Array:
    count = len(places)
    offsets = np.empty(count + 1, np.int64 if size > _INT32_MAX else np.int32)
    content = np.empty(size, np.uint8)
    valid = np.empty(count, np.uint8) if nullable else None
    _codec.gather(data, places, which, content, offsets, valid)
    return binary_array(offsets, content, valid)


def _headers(data: Any, places: Any, totals: Any) -> pa.Array:
    count, headers, name_bytes, value_bytes = len(places), int(totals[4]), int(totals[5]), int(totals[6])
    lists = np.empty(count + 1, np.int32)
    names, name_offsets = np.empty(name_bytes, np.uint8), np.empty(headers + 1, np.int32)
    values, value_offsets = np.empty(value_bytes, np.uint8), np.empty(headers + 1, np.int32)
    valid = np.empty(headers, np.uint8)
    _codec.gather_headers(data, places, lists, names, name_offsets, values, value_offsets, valid)
    name_array = text_array(binary_array(name_offsets, names, None))
    value_array = binary_array(value_offsets, values, valid)
    return header_lists(pa.array(lists, pa.int32()), name_array, value_array)


def text_array(array: pa.Array) -> pa.Array:
    """Header names as text; bytes that are no UTF-8 are replaced, for a name is only shown and compared."""
    try:
        return array.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([value.decode("utf-8", "replace") for value in array.to_pylist()], pa.string())


def header_lists(lists: pa.Array, names: pa.Array, values: pa.Array) -> pa.Array:
    """A ``HEADERS`` array of these parts."""
    pairs = pa.StructArray.from_arrays([names, values], fields=list(HEADERS.value_type))
    return pa.ListArray.from_arrays(lists, pairs)


def _flat_headers(headers: pa.Array) -> tuple[Any, Flat, Flat]:
    """List offsets from 0, and the flat names and values that they point into; a null list is an empty one."""
    if headers.null_count:
        headers = pa.array(headers.to_pylist(), HEADERS).fill_null([])
    first, last = headers.offsets[0].as_py(), headers.offsets[-1].as_py()
    pairs = headers.values.slice(first, last - first)
    names, values = pairs.field(0), pairs.field(1)
    lists = np.asarray(headers.offsets.to_numpy(zero_copy_only=False), np.int64) - first
    return np.ascontiguousarray(lists), flat(names), flat(values)


def _header(name: str, value: bytes | None) -> bytes:
    text = name.encode()
    tail = encode_varint(-1) if value is None else encode_varint(len(value)) + value
    return encode_varint(len(text)) + text + tail
