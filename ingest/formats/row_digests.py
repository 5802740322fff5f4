"""Rows as digests: to know a row again, and to compare two sets of rows without their order.

A digest is of the values and of the columns' names, not of how they are laid out: the same row has the same digest
wherever it is read. Times and floating point numbers count by their bits, so that NaN is no null, and -0.0 no 0.0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from ingest.formats.blake3 import digests
from ingest.formats.json_codec import encode

SIZE = 16
DIGEST = pa.binary(SIZE)
_BITS = {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}


def row_digests(rows: pa.RecordBatch) -> pa.Array:
    """128 bits of BLAKE3 a row, as ``DIGEST``; collisions do not happen."""
    if not len(rows):
        return pa.array([], DIGEST)
    columns = [_as_bits(column) for column in rows.columns]
    value = pa.StructArray.from_arrays(columns, names=rows.schema.names)
    texts, refused = encode(value)
    if refused:
        texts = _with_refused(texts, value, refused)
    return _hashed(texts)


def content_digests(contents: list[bytes]) -> pa.Array:
    """The same of bytes; for few."""
    return pa.array([hashlib.blake2b(content, digest_size=SIZE).digest() for content in contents], DIGEST)


class Checksum:
    """Of a set of rows, in whatever order and batches they come: a row that is there twice counts twice. Rows may be
    added to one that was made elsewhere, of ``rows`` with that ``text``."""

    def __init__(self, rows: int = 0, text: str = "0" * 32) -> None:
        self.rows = rows
        self._sums = [int(text[:16], 16), int(text[16:], 16)]

    def add(self, rows: pa.RecordBatch) -> None:
        """Adds rows."""
        words = np.frombuffer(row_digests(rows).buffers()[1], np.uint64).reshape(-1, 2) if len(rows) else None
        if words is not None:
            for place in (0, 1):
                self._sums[place] = (self._sums[place] + int(words[:, place].sum(dtype=np.uint64))) % 2**64
        self.rows += len(rows)

    @property
    def text(self) -> str:
        """32 hexadecimal digits."""
        return f"{self._sums[0]:016x}{self._sums[1]:016x}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Checksum) and (self.rows, self.text) == (other.rows, other.text)

    __hash__ = None  # type: ignore[assignment]  # it changes


def _as_bits(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_floating(kind) or (pa.types.is_temporal(kind) and hasattr(kind, "bit_width")):
        bits = _BITS.get(kind.bit_width)
        return column if bits is None else column.view(bits)
    return column


def _with_refused(texts: pa.Array, value: pa.StructArray, refused: Mapping[int, str]) -> pa.Array:
    """What JSON cannot hold, in Python's words: rare, and a row at a time."""
    contents = texts.to_pylist()
    for row in refused:
        contents[row] = repr(value[row].as_py()).encode()
    return pa.array(contents, pa.binary())


def _hashed(texts: pa.Array) -> pa.Array:
    """``texts`` are bytes, none null."""
    texts = texts.cast(pa.large_binary())
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    found = digests(np.frombuffer(data or b"", np.uint8), ends)
    return pa.Array.from_buffers(DIGEST, len(texts), [None, pa.py_buffer(found)])
