"""Records to columns in numpy: all records are walked in step, a field at a time."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest.errors import CorruptBatch
from ingest.wire.arrow_buffers import Bytes, Numbers, binary_array
from ingest.wire.batch import BatchHeader
from ingest.wire.columns import RecordColumns
from ingest.wire.record_headers import header_lists
from ingest.wire.varint import read_varint

_CHUNK = 8192  # records walked at once: bounds the walk's memory, and keeps it in the processor's cache
_LEAST_BODY = 6


@dataclass(slots=True)
class _Fields:
    """What stands in some records: numbers, and where the bytes lie (a size of -1 is null)."""

    timestamps: Numbers
    offsets: Numbers
    key_starts: Numbers
    key_sizes: Numbers
    value_starts: Numbers
    value_sizes: Numbers
    header_starts: Numbers
    header_counts: Numbers

    @classmethod
    def together(cls, chunks: list[_Fields]) -> _Fields:
        none = np.zeros(0, np.int64)
        return cls(*(np.concatenate([none, *(getattr(chunk, name.name) for chunk in chunks)]) for name in fields(cls)))


def decode_records(section: Any, header: BatchHeader, position: int, want_headers: bool) -> RecordColumns:
    """See ``codec_compiled.decode_records``."""
    data, letters = np.frombuffer(section, np.uint8), bytes(section)
    starts, ends, broken = _chain(letters, header.record_count)
    chunks: list[_Fields] = []
    headers = _Headers(letters, want_headers)
    before = -1
    for first in range(0, len(starts), _CHUNK):
        rows = slice(first, first + _CHUNK)
        found, good = _walk(data, starts[rows], ends[rows])
        good &= (np.diff(found.offsets, prepend=before) > 0) & (found.offsets <= header.last_offset_delta)
        headers.read(found, ends[rows], good)
        if not good.all():
            broken = first + int(good.argmin())
            break
        chunks.append(found)
        before = int(found.offsets[-1])
    if broken is not None:
        message = f"batch at byte {position}: record {broken} cannot be read"
        raise CorruptBatch(message, position=position, record=broken)
    found = _Fields.together(chunks)
    return RecordColumns(
        values=_cut(data, found.value_starts, found.value_sizes),
        keys=None if (found.key_sizes < 0).all() else _cut(data, found.key_starts, found.key_sizes),
        timestamps=found.timestamps + np.int64(header.base_timestamp),
        offsets=found.offsets + header.base_offset,
        headers=headers.lists(),
    )


def _chain(letters: bytes, count: int) -> tuple[Numbers, Numbers, int | None]:
    """Where each record's body starts and ends; the number of the record at which the chain breaks, or None."""
    starts: list[int] = []
    ends: list[int] = []
    at, size = 0, len(letters)
    try:
        while len(ends) < count:
            length = letters[at]
            if length < 0x80:
                at += 1
                length = length >> 1 ^ -(length & 1)
            elif letters[at + 1] < 0x80:  # nearly all records take 64 bytes to 8 KiB: this line is the twin's speed
                length = (length & 0x7F | letters[at + 1] << 7) >> 1 ^ -(length & 1)
                at += 2
            else:
                length, at = read_varint(letters, at, size, 32)
            if not _LEAST_BODY <= length <= size - at:
                break
            starts.append(at)
            at += length
            ends.append(at)
    except (IndexError, ValueError):
        pass
    broken = None if len(ends) == count and at == size else len(ends)
    return np.array(starts, np.int64), np.array(ends, np.int64), broken


def _walk(data: Bytes, starts: Numbers, ends: Numbers) -> tuple[_Fields, npt.NDArray[np.bool_]]:
    """The fields of records, and which of them can be read; of one that cannot, the fields mean nothing."""
    walk = _Walk(data, starts + 1, ends)  # after the attributes
    timestamps, offsets = walk.varint(64), walk.varint(32)
    key_starts, key_sizes = walk.field()
    value_starts, value_sizes = walk.field()
    counts = walk.varint(32)
    walk.good &= (counts >= 0) & (counts <= (ends - walk.at) // 2)
    found = _Fields(timestamps, offsets, key_starts, key_sizes, value_starts, value_sizes, walk.at, counts)
    return found, walk.good


class _Walk:
    """Stands at one byte of each record; a record that cannot be read stays where it is, marked."""

    def __init__(self, data: Bytes, at: Numbers, ends: Numbers) -> None:
        self.at = at
        self.good = np.ones(len(at), bool)
        self._data = data
        self._ends = ends

    def varint(self, bits: int) -> Numbers:
        """The next number of each record; most take one byte, so the rows that go on are picked out."""
        numbers = np.zeros(len(self.at), np.uint64)
        rows: Any = np.arange(len(self.at))[self.good]
        for shift in range(0, bits, 7):
            at = self.at[rows]
            inside = at < self._ends[rows]
            if not inside.all():
                self.good[rows[~inside]] = False
                rows, at = rows[inside], at[inside]
            letters = self._data[at]
            numbers[rows] |= (letters & np.uint8(0x7F)).astype(np.uint64) << np.uint64(shift)
            self.at[rows] += 1
            if shift + 7 > bits:
                self.good[rows[letters >> (bits - shift) != 0]] = False
                break
            rows = rows[letters >= 0x80]
            if not len(rows):
                break
        return (numbers >> np.uint64(1)).view(np.int64) ^ -(numbers & np.uint64(1)).view(np.int64)

    def field(self) -> tuple[Numbers, Numbers]:
        """Start and size of the next key or value of each record."""
        sizes = self.varint(32)
        self.good &= (sizes >= -1) & (sizes <= self._ends - self.at)
        starts = self.at
        self.at = np.where(self.good, starts + np.maximum(sizes, 0), starts)
        return starts, sizes


class _Headers:
    """Reads the headers that records have, one by one, and gathers them if they are wanted."""

    def __init__(self, letters: bytes, wanted: bool) -> None:
        self._letters = letters
        self._wanted = wanted
        self._names: list[bytes] = []
        self._values: list[bytes | None] = []
        self._lists = [0]

    def read(self, found: _Fields, ends: Numbers, good: npt.NDArray[np.bool_]) -> None:
        """Marks in ``good`` the records whose headers cannot be read, or that do not end where they should."""
        if not found.header_counts.any():
            good &= found.header_starts == ends
            self._lists += [len(self._names)] * len(good)
            return
        for row in range(len(good)):
            if good[row]:
                good[row] = self._read_row(int(found.header_starts[row]), int(ends[row]), int(found.header_counts[row]))
            self._lists.append(len(self._names))

    def _read_row(self, at: int, end: int, count: int) -> bool:
        for _ in range(count):
            try:
                name_size, at = read_varint(self._letters, at, end, 32)
                if not 0 <= name_size <= end - at:
                    return False
                name = self._letters[at : at + name_size]
                value_size, at = read_varint(self._letters, at + name_size, end, 32)
            except ValueError:
                return False
            if not -1 <= value_size <= end - at:
                return False
            value = None if value_size < 0 else self._letters[at : at + value_size]
            at += max(value_size, 0)
            if self._wanted:
                self._names.append(name)
                self._values.append(value)
        return at == end

    def lists(self) -> pa.Array | None:
        if not self._names:
            return None
        return header_lists(self._lists, pa.array(self._names, pa.binary()), pa.array(self._values, pa.binary()))


def _cut(data: Bytes, starts: Numbers, sizes: Numbers) -> pa.Array:
    """The pieces of ``data``: an array of pieces and gaps over the same bytes, of which every second is taken."""
    if not len(starts):
        return pa.array([], pa.binary())
    bounds = np.empty(2 * len(starts) + 1, np.int32)  # a section is smaller than 2 GiB
    bounds[0:-1:2], bounds[1::2] = starts, starts + np.maximum(sizes, 0)
    bounds[-1] = bounds[-2]
    rows = pa.array(np.arange(0, 2 * len(starts), 2, dtype=np.int32), mask=sizes < 0)
    return binary_array(bounds, data, None).take(rows)
