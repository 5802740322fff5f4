"""Columns to records in numpy: the bytes around keys and values are made as matrices, and Arrow joins the pieces."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.wire.arrow_buffers import binary_array
from ingest.wire.batch import HEADER_BYTES
from ingest.wire.columns import RecordColumns
from ingest.wire.record_headers import checked, header_bytes
from ingest.wire.varint import encode_varint

_CHUNK = 8192  # records encoded at once: their matrices stay in the processor's cache
_EMPTY = pa.scalar(b"", pa.large_binary())


class Prepared(NamedTuple):
    """Columns ready to be cut into batches; all binary ones are large, so that no piece can overflow."""

    rows: int
    values: pa.Array
    keys: pa.Array | None
    timestamps: Any
    offsets: Any  # None: counted
    headers: pa.Array | None  # each record's header section as bytes, its count included; None: the same for all
    common: bytes


def prepare(columns: RecordColumns) -> Prepared:
    """See ``codec_compiled.prepare``."""
    common, count = header_bytes(columns.common_headers), len(columns.common_headers)
    return Prepared(
        rows=len(columns),
        values=columns.values.cast(pa.large_binary()),
        keys=None if columns.keys is None else columns.keys.cast(pa.large_binary()),
        timestamps=np.ascontiguousarray(columns.timestamps, np.int64),
        offsets=columns.offsets,
        headers=None if columns.headers is None else _header_sections(checked(columns.headers), common, count),
        common=encode_varint(count) + common,
    )


def _header_sections(headers: pa.Array, common: bytes, common_count: int) -> pa.Array:
    """Headers of their own are rare, and are written one by one."""
    sections = []
    for row in headers.to_pylist():
        own = [(item["key"], item["value"]) for item in row or ()]
        sections.append(encode_varint(common_count + len(own)) + common + header_bytes(own))
    return pa.array(sections, pa.large_binary())


def encode_records(
    prepared: Prepared, start: int, limit_bytes: int, base_offset: int, base_timestamp: int
) -> tuple[bytearray, int, int]:
    """See ``codec_compiled.encode_records``."""
    out = bytearray(HEADER_BYTES)
    row, largest = start, int(prepared.timestamps[start]) if start < prepared.rows else -1
    while row < prepared.rows:
        stop = min(row + _CHUNK, prepared.rows)
        timestamps = prepared.timestamps[row:stop]
        counted = prepared.offsets is None
        offsets = np.arange(row - start, stop - start) if counted else prepared.offsets[row:stop] - base_offset
        pieces, sizes = _pieces(prepared, slice(row, stop), timestamps - np.int64(base_timestamp), offsets)
        fits = int(np.searchsorted(np.cumsum(sizes), limit_bytes - len(out), "right"))
        if fits:
            out += _joined(pieces, fits)
            largest = max(largest, int(timestamps[:fits].max()))
        row += fits
        if row < stop:
            break
    return out, row - start, largest


def _pieces(prepared: Prepared, rows: slice, timestamps: Any, offsets: Any) -> tuple[list[Any], Any]:
    """The parts that make up each record, and the records' whole sizes. Times and offsets are already differences."""
    keys = None if prepared.keys is None else prepared.keys[rows]
    values = prepared.values[rows]
    headers = pa.scalar(prepared.common, pa.large_binary()) if prepared.headers is None else prepared.headers[rows]
    header_sizes: Any = len(prepared.common) if prepared.headers is None else _lengths(headers)
    key_sizes = np.full(len(values), -1) if keys is None else _lengths(keys)
    value_sizes = _lengths(values)
    numbers = [_Varints(timestamps), _Varints(offsets), _Varints(key_sizes)]
    value_number = _Varints(value_sizes)
    bodies = 1 + value_number.sizes + np.maximum(key_sizes, 0) + np.maximum(value_sizes, 0) + header_sizes
    for number in numbers:
        bodies = bodies + number.sizes
    length = _Varints(bodies)
    attributes = _Varints(np.zeros(len(values), np.int64))  # none are defined: one zero, as the varint of 0 is
    pieces = [
        _side_by_side([length, attributes, *numbers]),
        _EMPTY if keys is None else keys.fill_null(b""),
        _side_by_side([value_number]),
        values.fill_null(b""),
        headers,
    ]
    return pieces, bodies + length.sizes


def _lengths(array: pa.Array) -> Any:
    """Bytes of each value, -1 for null."""
    lengths = pc.binary_length(array)
    return np.asarray((lengths.fill_null(-1) if array.null_count else lengths).to_numpy(zero_copy_only=False))


def _joined(pieces: list[Any], count: int) -> memoryview:
    """The first ``count`` records: what lies in the join's own data buffer, one after the other."""
    cut = [piece[:count] if isinstance(piece, pa.Array) else piece for piece in pieces]
    _, offsets, data = pc.binary_join_element_wise(*cut, _EMPTY).buffers()
    return memoryview(data)[: int(np.frombuffer(offsets, np.int64)[count])]


class _Varints:
    """A column of numbers as varints: ``columns[j]`` holds byte j of each, of which the first ``sizes`` count."""

    def __init__(self, numbers: Any) -> None:
        numbers = numbers.astype(np.int64, copy=False)
        rest = (numbers << 1 ^ numbers >> 63).view(np.uint64)
        self.sizes = np.ones(len(rest), np.int64)
        self.columns: list[Any] = []
        while True:
            more = rest > np.uint64(0x7F)
            low = rest.astype(np.uint8)
            if not more.any():
                self.columns.append(low)
                return
            self.columns.append(np.where(more, low | np.uint8(0x80), low))
            self.sizes += more
            rest = rest >> np.uint64(7)


def _side_by_side(parts: list[_Varints]) -> pa.Array:
    """One binary value a row: the varints of each part, one after the other."""
    matrix = np.stack([column for part in parts for column in part.columns], axis=1)
    counts = np.stack([part.sizes > index for part in parts for index in range(len(part.columns))], axis=1)
    offsets = np.zeros(len(matrix) + 1, np.int64)
    np.cumsum(sum(part.sizes for part in parts), out=offsets[1:])
    return binary_array(offsets, matrix.ravel() if counts.all() else matrix[counts], None)
