"""The record codec without a compiler: the compiled kernel's oracle, and what runs where it could not be built.

Numbers are encoded and decoded a column at a time; Arrow's kernels interleave and cut the pieces. Only the chain of
record lengths, which no kernel can know beforehand, is walked in Python.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.errors import CorruptBatch
from ingest.wire.arrow_buffers import Flat, binary_array
from ingest.wire.batch import HEADER_BYTES, BatchHeader
from ingest.wire.columns import HEADERS, RecordColumns
from ingest.wire.varint import encode_varint

_CHUNK = 65_536  # rows encoded at once: what a batch of default size holds, with room to spare


class Prepared(NamedTuple):
    """Columns ready to be cut into batches."""

    rows: int
    values: pa.Array
    keys: pa.Array | None
    timestamps: Any
    headers: pa.Array | None  # each record's header section as bytes, its count included; None: the same for all
    common: bytes


def prepare(columns: RecordColumns) -> Prepared:
    """Large binary columns, so that no chunk can overflow."""
    common = b"".join(_header(name, value) for name, value in columns.common_headers)
    count = len(columns.common_headers)
    headers = None if columns.headers is None else _header_sections(columns.headers, common, count)
    keys = None if columns.keys is None else columns.keys.cast(pa.large_binary())
    timestamps = np.ascontiguousarray(columns.timestamps, np.int64)
    values = columns.values.cast(pa.large_binary())
    return Prepared(len(columns), values, keys, timestamps, headers, encode_varint(count) + common)


def encode_records(prepared: Prepared, start: int, limit_bytes: int) -> tuple[bytearray, int, int]:
    """See ``codec_compiled.encode_records``."""
    out = bytearray(HEADER_BYTES)
    row, largest = start, int(prepared.timestamps[start]) if start < prepared.rows else 0
    base = largest
    while row < prepared.rows:
        size = min(_CHUNK, prepared.rows - row)
        pieces, sizes = _pieces(prepared, row, size, base, start)
        fits = int(np.searchsorted(np.cumsum(sizes), limit_bytes - len(out), "right"))
        if fits:
            joined = pc.binary_join_element_wise(
                *[_head(piece, fits) for piece in pieces], pa.scalar(b"", pa.large_binary())
            )
            _, offsets, data = joined.buffers()
            out += memoryview(data)[: np.frombuffer(offsets, np.int64)[fits]] if data is not None else b""
            largest = max(largest, int(prepared.timestamps[row : row + fits].max()))
        row += fits
        if fits < size:
            break
    return out, row - start, largest


def _pieces(prepared: Prepared, row: int, size: int, base: int, start: int) -> tuple[list[Any], Any]:
    """The parts that make up each of ``size`` records from ``row`` on, and the records' whole sizes."""
    values = prepared.values.slice(row, size)
    keys = None if prepared.keys is None else prepared.keys.slice(row, size)
    headers = pa.scalar(prepared.common, pa.large_binary())
    header_sizes: Any = len(prepared.common)
    if prepared.headers is not None:
        headers = prepared.headers.slice(row, size)
        header_sizes = _lengths(headers)
    key_lengths = np.full(size, -1, np.int64) if keys is None else _lengths(keys)
    value_lengths = _lengths(values)
    numbers = [
        _varints(prepared.timestamps[row : row + size] - base, 10),
        _varints(np.arange(row - start, row - start + size, dtype=np.int64), 5),
        _varints(key_lengths, 5),
    ]
    value_numbers = _varints(value_lengths, 5)
    bodies = 1 + sum(sizes for _, sizes in numbers) + value_numbers[1] + header_sizes
    bodies = bodies + np.maximum(key_lengths, 0) + np.maximum(value_lengths, 0)
    length_numbers = _varints(bodies, 5)
    attributes = (np.zeros((size, 1), np.uint8), np.ones(size, np.int64))
    prefix = _interleaved([length_numbers, attributes, *numbers])
    empty = pa.scalar(b"", pa.large_binary())
    pieces = [
        prefix,
        empty if keys is None else keys.fill_null(b""),
        _interleaved([value_numbers]),
        values.fill_null(b""),
        headers,
    ]
    return pieces, bodies + length_numbers[1]


def _head(piece: Any, count: int) -> Any:
    return piece.slice(0, count) if isinstance(piece, pa.Array) else piece


def _lengths(array: pa.Array) -> Any:
    """Bytes of each value, -1 for null."""
    return np.asarray(pc.binary_length(array).cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False), np.int64)


def _varints(numbers: Any, width: int) -> tuple[Any, Any]:
    """Each number's varint in a row of ``width`` bytes, and how many of them count."""
    zigzag = (numbers.astype(np.int64) << 1 ^ numbers.astype(np.int64) >> 63).view(np.uint64)
    shifted = zigzag[:, None] >> (np.arange(width, dtype=np.uint64) * np.uint64(7))
    sizes = np.maximum(1, (shifted != 0).sum(axis=1))
    low = (shifted & np.uint64(0x7F)).astype(np.uint8)
    more = np.arange(width) < (sizes - 1)[:, None]
    return low | (more.astype(np.uint8) << 7), sizes


def _interleaved(parts: list[tuple[Any, Any]]) -> pa.Array:
    """One binary value a row: the counted bytes of each part, one after the other."""
    matrix = np.concatenate([rows for rows, _ in parts], axis=1)
    mask = np.concatenate([np.arange(rows.shape[1]) < np.asarray(sizes)[:, None] for rows, sizes in parts], axis=1)
    offsets = np.zeros(len(matrix) + 1, np.int64)
    np.cumsum(mask.sum(axis=1), out=offsets[1:])
    return binary_array(offsets, matrix[mask], None)


def decode_records(section: Any, header: BatchHeader, position: int, want_headers: bool) -> RecordColumns:
    """See ``codec_compiled.decode_records``."""
    data = np.frombuffer(section, np.uint8)
    starts, ends, failed = _chain(bytes(section), header.record_count)
    reader = _Reader(data, starts, ends)
    reader.at = reader.at + 1
    deltas, offset_deltas = reader.varint(64), reader.varint(32)
    key_starts, key_sizes = reader.field()
    value_starts, value_sizes = reader.field()
    counts = reader.varint(32)
    reader.check(counts >= 0)
    reader.check(np.diff(offset_deltas, prepend=-1) > 0)
    reader.check(offset_deltas <= header.last_offset_delta)
    headers = _read_headers(data, reader, counts)
    bad = reader.first_bad()
    if failed is not None and (bad is None or failed <= bad):
        bad = failed
    if bad is not None:
        raise CorruptBatch(f"batch at byte {position}: record {bad} cannot be read", position=position, record=bad)
    keys = None if (key_sizes < 0).all() else _cut(data, key_starts, key_sizes)
    with np.errstate(over="ignore"):
        timestamps = deltas + np.int64(header.base_timestamp)
    return RecordColumns(
        _cut(data, value_starts, value_sizes),
        timestamps,
        keys,
        headers if want_headers and counts.any() else None,
        (),
        offset_deltas + header.base_offset,
    )


def _chain(data: bytes, count: int) -> tuple[Any, Any, int | None]:
    """Where each record's body starts and ends; the number of the record at which the chain breaks, or None."""
    starts, ends = np.zeros(count, np.int64), np.zeros(count, np.int64)
    at, size = 0, len(data)
    for row in range(count):
        number = shift = 0
        while True:
            if at >= size or shift > 28:
                return starts[:row], ends[:row], row
            byte = data[at]
            at += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        length = (number >> 1) ^ -(number & 1)
        if number >> 32 or length < 6 or length > size - at:
            return starts[:row], ends[:row], row
        starts[row] = at
        at += length
        ends[row] = at
    return starts, ends, None if at == size else count


class _Reader:
    """Walks all records in step, a field at a time; a record that cannot be read is marked and walks on the spot."""

    def __init__(self, data: Any, starts: Any, ends: Any) -> None:
        self.at = starts
        self._data = data if len(data) else np.zeros(1, np.uint8)
        self._ends = ends
        self._good = np.ones(len(starts), bool)

    def varint(self, bits: int) -> Any:
        width = (bits + 6) // 7
        columns = self.at[:, None] + np.arange(width)
        inside = columns < self._ends[:, None]
        rows = self._data[np.minimum(columns, len(self._data) - 1)]
        last = np.argmax((rows < 0x80) & inside, axis=1)
        ended = np.take_along_axis((rows < 0x80) & inside, last[:, None], axis=1)[:, 0]
        top = np.take_along_axis(rows, last[:, None], axis=1)[:, 0]
        self.check(ended & ~((last == width - 1) & (top >> (bits - 7 * (width - 1)) != 0)))
        used = np.arange(width) <= last[:, None]
        parts = np.where(used, rows & 0x7F, 0).astype(np.uint64) << (np.arange(width, dtype=np.uint64) * np.uint64(7))
        number = np.bitwise_or.reduce(parts, axis=1) if len(parts) else np.zeros(0, np.uint64)
        self.at = np.where(self._good, self.at + last + 1, self.at)
        return (number >> np.uint64(1)).view(np.int64) ^ -(number & np.uint64(1)).view(np.int64)

    def field(self) -> tuple[Any, Any]:
        sizes = self.varint(32)
        self.check((sizes >= -1) & (sizes <= self._ends - self.at))
        starts = self.at
        self.at = np.where(self._good, starts + np.maximum(sizes, 0), starts)
        return starts, sizes

    def check(self, good: Any) -> None:
        self._good &= good

    def first_bad(self) -> int | None:
        """Every record must also end where its length said."""
        bad = np.flatnonzero(~(self._good & (self.at == self._ends)))
        return int(bad[0]) if len(bad) else None

    def skip_headers(self, row: int, count: int) -> list[tuple[bytes, bytes | None]]:
        """The headers of one record; marks it if they cannot be read."""
        found: list[tuple[bytes, bytes | None]] = []
        step = _Reader(self._data, self.at[row : row + 1], self._ends[row : row + 1])
        if count > (self._ends[row] - self.at[row]) // 2:
            self._good[row] = False
            return found
        for _ in range(count):
            name_start, name_size = step.field()
            value_start, value_size = step.field()
            step.check(name_size >= 0)
            if not step._good[0]:
                self._good[row] = False
                return found
            name = self._data[name_start[0] : name_start[0] + name_size[0]].tobytes()
            value = self._data[value_start[0] : value_start[0] + max(0, value_size[0])].tobytes()
            found.append((name, None if value_size[0] < 0 else value))
        self.at[row] = step.at[0]
        return found


def _read_headers(data: Any, reader: _Reader, counts: Any) -> pa.Array:
    rows: list[list[tuple[bytes, bytes | None]]] = [[] for _ in range(len(counts))]
    for row in np.flatnonzero((counts > 0) & reader._good):
        rows[row] = reader.skip_headers(int(row), int(counts[row]))
    return pa.array(
        [[{"key": name.decode("utf-8", "replace"), "value": value} for name, value in row] for row in rows], HEADERS
    )


def _cut(data: Any, starts: Any, sizes: Any) -> pa.Array:
    """The pieces of ``data``: an array of pieces and gaps over the same bytes, of which every second is taken."""
    if not len(starts):
        return pa.array([], pa.binary())
    bounds = np.empty(2 * len(starts) + 1, np.int64)
    bounds[0:-1:2], bounds[1::2] = starts, starts + np.maximum(sizes, 0)
    bounds[-1] = bounds[-2]
    everything = binary_array(bounds, data, None)
    taken = everything.take(pa.array(np.arange(0, 2 * len(starts), 2)))
    null = sizes < 0
    if null.any():
        taken = pc.if_else(pa.array(~null), taken, pa.scalar(None, pa.large_binary()))
    return taken if int(np.maximum(sizes, 0).sum()) > 2**31 - 1 else taken.cast(pa.binary())


def murmur2(keys: Flat) -> Any:
    """Kafka's hash of each key, int32; keys of one length are hashed together."""
    lengths = np.diff(keys.offsets)
    out = np.empty(len(lengths), np.int32)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        matrix = keys.data[keys.offsets[rows][:, None] + np.arange(length)] if length else np.zeros((len(rows), 0))
        out[rows] = _murmur2_of(matrix.astype(np.uint32), int(length))
    return out


def _murmur2_of(rows: Any, length: int) -> Any:
    """Austin Appleby's MurmurHash2, 32 bit, as Kafka's ``Utils.murmur2`` has it."""
    multiplier = np.uint32(0x5BD1E995)
    mixed: Any = np.full(len(rows), (0x9747B28C ^ length) & 0xFFFFFFFF, np.uint32)
    whole = length - length % 4
    for start in range(0, whole, 4):
        part = rows[:, start] | rows[:, start + 1] << 8 | rows[:, start + 2] << 16 | rows[:, start + 3] << 24
        part = part * multiplier
        part = (part ^ part >> 24) * multiplier
        mixed = mixed * multiplier ^ part
    for index in range(length - 1, whole - 1, -1):
        mixed = mixed ^ rows[:, index] << np.uint32(8 * (index - whole))
    if length > whole:
        mixed = mixed * multiplier
    mixed = (mixed ^ mixed >> 13) * multiplier
    return (mixed ^ mixed >> 15).view(np.int32)


def _header_sections(headers: pa.Array, common: bytes, common_count: int) -> pa.Array:
    """Each record's header count and headers; headers of their own are rare, and are written one by one."""
    sections = []
    for row in headers.to_pylist():
        own = b"".join(_header(item["key"], item["value"]) for item in row or [])
        sections.append(encode_varint(common_count + len(row or [])) + common + own)
    return pa.array(sections, pa.large_binary())


def _header(name: str, value: bytes | None) -> bytes:
    text = name.encode()
    tail = encode_varint(-1) if value is None else encode_varint(len(value)) + value
    return encode_varint(len(text)) + text + tail
