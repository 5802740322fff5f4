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
    headers = _Headers(letters, want_headers)
    chunks: list[_Fields] = []
    read, at, before = 0, 0, -1
    while read < header.record_count:
        begins, at = _chain(letters, at, min(_CHUNK, header.record_count - read))
        found, ends, good = _walk(data, begins)
        good &= (np.diff(found.offsets, prepend=before) > 0) & (found.offsets <= header.last_offset_delta)
        headers.read(found, ends, good)
        if not good.all():
            raise _unreadable(position, read + int(good.argmin()))
        chunks.append(found)
        read += len(begins)
        before = int(found.offsets[-1])
    if at != len(letters):
        raise _unreadable(position, read)
    found = _Fields.together(chunks)
    return RecordColumns(
        values=_cut(data, found.value_starts, found.value_sizes),
        keys=None if (found.key_sizes < 0).all() else _cut(data, found.key_starts, found.key_sizes),
        timestamps=found.timestamps + np.int64(header.base_timestamp),
        offsets=found.offsets + header.base_offset,
        headers=headers.lists(),
    )


def _unreadable(position: int, record: int) -> CorruptBatch:
    message = f"batch at byte {position}: record {record} cannot be read"
    return CorruptBatch(message, position=position, record=record)


def _chain(letters: bytes, at: int, count: int) -> tuple[Numbers, int]:
    """Where records begin, and where the last one ends. It stops at one whose length cannot be read, or is below zero.

    Nothing else is checked here, for this loop is the twin's speed: most records take 64 bytes to 8 KiB.
    """
    begins: list[int] = []
    begin = begins.append
    try:
        for _ in range(count):
            begin(at)
            first = letters[at]
            if first & 1:
                break
            if first < 0x80:
                at += (first >> 1) + 1
            elif letters[at + 1] < 0x80:
                at += ((first & 0x7F | letters[at + 1] << 7) >> 1) + 2
            else:
                length, after = read_varint(letters, at, len(letters), 32)
                at = after + length
    except (IndexError, ValueError):
        pass
    return np.array(begins, np.int64), at


def _walk(data: Bytes, begins: Numbers) -> tuple[_Fields, Numbers, npt.NDArray[np.bool_]]:
    """The fields of records, where they end, and which can be read; of one that cannot, the rest means nothing."""
    walk = _Walk(data, begins)
    lengths = walk.varint(32)
    walk.good &= (lengths >= _LEAST_BODY) & (lengths <= len(data) - walk.at)
    walk.ends = np.where(walk.good, walk.at + lengths, walk.at)
    walk.at = walk.at + 1  # the attributes
    timestamps, offsets = walk.varint(64), walk.varint(32)
    key_starts, key_sizes = walk.field()
    value_starts, value_sizes = walk.field()
    counts = walk.varint(32)
    walk.good &= (counts >= 0) & (counts <= (walk.ends - walk.at) // 2)
    found = _Fields(timestamps, offsets, key_starts, key_sizes, value_starts, value_sizes, walk.at, counts)
    return found, walk.ends, walk.good


class _Walk:
    """Stands at one byte of each record; a record that cannot be read stays where it is, marked."""

    def __init__(self, data: Bytes, at: Numbers) -> None:
        self.at = at
        self.ends = np.full(len(at), len(data), np.int64)
        self.good = np.ones(len(at), bool)
        self._data = data

    def varint(self, bits: int) -> Numbers:
        """The next number of each record; most take one byte, so the rows that go on are picked out."""
        numbers = np.zeros(len(self.at), np.uint64)
        rows: Any = np.flatnonzero(self.good)
        for shift in range(0, bits, 7):
            at = self.at[rows]
            inside = at < self.ends[rows]
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
        self.good &= (sizes >= -1) & (sizes <= self.ends - self.at)
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
