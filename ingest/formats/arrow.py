"""The format ``arrow``: one record holds one Arrow IPC stream of many rows.

What belongs to a row and not to the record that carries it (its key, timestamp and headers) stands in
columns beside ``value``; the layout is drawn in docs/formats/record-values.md. The carrying record has no
key; its timestamp is the newest of its rows, so that a look-up by time never starts behind a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.connectors import HEADERS, TIMESTAMP, Records, Rejected
from ingest.errors import FormatError
from ingest.formats import ipc
from ingest.formats.casting import cast_value, without_encodings
from ingest.formats.format import (
    MAX_RECORD_BYTES,
    Decoded,
    Encoded,
    Format,
    RejectedInside,
    rejected,
    with_binary_keys,
)
from ingest.formats.rows import remaining

_PART_BYTES = 1 << 20
_ALIGNMENT_BYTES = 8
_COLUMNS = {ipc.KEY: pa.binary(), ipc.ROW_TIMESTAMP: TIMESTAMP, ipc.ROW_HEADERS: HEADERS}


class ArrowFormat(Format):
    """Typed and fastest, for tables and pipelines; needs an Arrow library to read."""

    name: ClassVar[str] = "arrow"
    typed: ClassVar[bool] = True

    def encode(
        self, records: Records, *, schema: pa.Schema | None = None, max_bytes: int = MAX_RECORD_BYTES
    ) -> Encoded:
        if not pa.types.is_struct(records.value.type):
            raise FormatError(
                f"the format arrow takes columns, and the value is {records.value.type}",
                hint="parse it first, or give the topic the format lines or bytes",
                format=self.name,
            )
        refused: list[Rejected] = []
        kept = np.arange(len(records))
        if schema is not None:
            value, refused = cast_value(records.value, schema)
            records, kept = remaining(records, kept, refused)
            records = records.with_value(value)
        rows = _row_batch(with_binary_keys(records))
        if ipc.size_bytes(rows) > min(max_bytes, _PART_BYTES):
            # Each part would carry a dictionary whole.
            rows = _row_batch(with_binary_keys(records.with_value(without_encodings(records.value))))
        parts: list[pa.RecordBatch] = []
        for start, part in _parts(rows, max_bytes):
            if part is None:
                reason = f"one row alone takes more than the {max_bytes} bytes of a record"
                refused.append(rejected([kept[start]], [reason], "TooLarge"))
            else:
                parts.append(part)
        return Encoded(_carriers(records, parts), refused)

    def decode(self, records: Records, *, schema: pa.Schema | None = None) -> Decoded:
        unpacked = _Unpacked(schema)
        for row, stream in enumerate(_streams(records.value)):
            unpacked.take(row, stream)
        return Decoded(unpacked.records(records), unpacked.refused, unpacked.inside())


def _row_batch(records: Records) -> pa.RecordBatch:
    columns = {
        ipc.VALUE: records.value,
        ipc.KEY: records.key,
        ipc.ROW_TIMESTAMP: records.timestamp,
        ipc.ROW_HEADERS: records.headers,
    }
    present = {name: column for name, column in columns.items() if column is not None}
    batch = pa.RecordBatch.from_arrays(list(present.values()), names=list(present))
    return batch.replace_schema_metadata(ipc.mark(batch.schema).metadata)


def _parts(rows: pa.RecordBatch, max_bytes: int) -> Iterator[tuple[int, pa.RecordBatch | None]]:
    """Runs of rows, with where they start, whose streams are at most ``max_bytes`` long; None for one row
    that is longer by itself.

    The first cut is by the average size of a row; what turns out too large is halved.
    """
    if not len(rows):
        return
    limit = min(max_bytes, _PART_BYTES)
    guess = max(1, int(limit * 0.9) * len(rows) // max(1, rows.nbytes))
    blocks = [(start, min(guess, len(rows) - start)) for start in range(0, len(rows), guess)][::-1]
    while blocks:
        start, length = blocks.pop()
        part = rows.slice(start, length)
        if ipc.size_bytes(part) <= max_bytes:
            yield start, part
        elif length > 1:
            half = length // 2
            blocks += [(start + half, length - half), (start, half)]
        else:
            yield start, None


def _carriers(records: Records, parts: list[pa.RecordBatch]) -> Records:
    newest = [_newest(part) for part in parts]
    stamped = any(stamp is not None for stamp in newest)
    return Records(
        value=ipc.write(parts),
        topic=records.topic,
        timestamp=pa.array(newest, type=pa.int64()).cast(TIMESTAMP) if stamped else None,
        common_headers=records.common_headers,
        stream=records.stream,
        origin=records.origin,
        partition=records.partition,
    )


def _newest(rows: pa.RecordBatch) -> int | None:
    if ipc.ROW_TIMESTAMP not in rows.schema.names:
        return None
    newest = pc.max(rows.column(ipc.ROW_TIMESTAMP)).cast(pa.int64()).as_py()
    return None if newest is None else int(newest)


def _streams(value: pa.Array) -> Iterator[pa.Buffer | None]:
    """The bytes of each record, where they are if their numbers are aligned there: a scalar of Arrow's holds a copy."""
    if not len(value):
        return
    _, ends, content = value.buffers()
    kind = np.int64 if pa.types.is_large_binary(value.type) else np.int32
    offsets = np.frombuffer(ends, kind)[value.offset : value.offset + len(value) + 1].tolist()
    content = content or pa.py_buffer(b"")
    for start, end, is_valid in zip(offsets[:-1], offsets[1:], value.is_valid().to_pylist(), strict=True):
        stream = content.slice(start, end - start)
        aligned = stream.address % _ALIGNMENT_BYTES == 0
        yield (stream if aligned else pa.py_buffer(stream.to_pybytes())) if is_valid else None


class _Unpacked:
    """Collects the rows of one record after the other; ``refused`` grows with those that do not fit."""

    def __init__(self, schema: pa.Schema | None) -> None:
        self._schema = schema
        self._target: pa.DataType | None = None if schema is None else pa.struct(list(schema))
        self._batches: list[pa.RecordBatch] = []
        self._carriers: list[int] = []
        self._inside: list[np.ndarray] = []
        self.refused: list[Rejected] = []

    def take(self, row: int, stream: pa.Buffer | None) -> None:
        """One record: a null value is one row that is null."""
        try:
            batch = self._tombstone() if stream is None else ipc.read(stream)
            batch, inside = self._fitted(row, batch)
        except (pa.ArrowException, ValueError, FormatError, OSError, MemoryError) as error:
            reason = f"not an Arrow IPC stream of rows that fit: {error}"
            self.refused.append(rejected([row], [reason], "DecodeFailed"))
            return
        if len(batch):
            self._batches.append(batch)
            self._carriers.append(row)
            self._inside.append(inside)

    def inside(self) -> pa.Array:
        """The row inside its record of each row."""
        return pa.array(np.concatenate([*self._inside, np.empty(0, dtype=np.int64)]))

    def records(self, carriers: Records) -> Records:
        """All rows; what a row does not have of its own it has from the record that carried it."""
        lengths = [len(batch) for batch in self._batches]
        of_rows = pa.array(np.repeat(np.array(self._carriers, dtype=np.int64), lengths))
        # Without the streams: repeating those once a row would take the square of a record's size.
        spread = carriers.with_value(pa.nulls(len(carriers))).take(of_rows)
        value = self._value()
        if not self._batches:
            return replace(spread, value=value)
        return replace(
            spread,
            value=value,
            key=self._column(ipc.KEY, spread.key),
            timestamp=self._column(ipc.ROW_TIMESTAMP, spread.timestamp),
            headers=self._headers(spread.headers),
        )

    def _tombstone(self) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays([pa.nulls(1, self._target or pa.struct([]))], names=[ipc.VALUE])

    def _fitted(self, row: int, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, np.ndarray]:
        """The rows of ``batch`` in the wanted type; those that do not fit go to ``refused``."""
        inside = np.arange(len(batch), dtype=np.int64)
        value = batch.column(ipc.VALUE)
        if self._target is None:
            # The first record decides for a topic without a schema.
            self._target = value.type
            self._schema = pa.schema(list(value.type)) if pa.types.is_struct(value.type) else None
        if value.type.equals(self._target):
            return batch, inside
        if self._schema is None:
            raise ValueError(f"its rows are {value.type}, and those before it {self._target}")
        value, refused = cast_value(value, self._schema)
        keep = np.ones(len(batch), dtype=bool)
        for each in refused:
            keep[each.rows.to_numpy()] = False
            same = pa.array(np.full(len(each.rows), row, dtype=np.int64))
            self.refused.append(RejectedInside(same, each.reasons, each.error, inside=each.rows))
        if refused:
            batch = batch.filter(pa.array(keep))
        others = {name: batch.column(name) for name in batch.schema.names if name != ipc.VALUE}
        return pa.RecordBatch.from_pydict({ipc.VALUE: value, **others}), inside[keep]

    def _value(self) -> pa.Array:
        if not self._batches:
            return pa.array([], type=self._target or pa.struct([]))
        return pa.concat_arrays([batch.column(ipc.VALUE) for batch in self._batches])

    def _column(self, name: str, carried: pa.Array | None) -> pa.Array | None:
        """A column of the rows; the carriers' stands in where a record was written without it."""
        if not any(name in batch.schema.names for batch in self._batches):
            return carried
        kind = _COLUMNS[name]
        pieces, start = [], 0
        for batch in self._batches:
            if name in batch.schema.names:
                pieces.append(batch.column(name).cast(kind))
            elif carried is not None:
                pieces.append(carried.slice(start, len(batch)).cast(kind))
            else:
                pieces.append(pa.nulls(len(batch), kind))
            start += len(batch)
        return pa.concat_arrays(pieces)

    def _headers(self, carried: pa.Array | None) -> pa.Array | None:
        own = self._column(ipc.ROW_HEADERS, None)
        if own is None or carried is None:
            return carried if own is None else own
        return _joined_lists(carried, own)


def _joined_lists(first: pa.Array, second: pa.Array) -> pa.Array:
    """Row by row, the elements of ``first`` and then those of ``second``."""
    lengths = [pc.fill_null(pc.list_value_length(a), 0).to_numpy(zero_copy_only=False) for a in (first, second)]
    values = pa.concat_arrays([first.flatten(), second.flatten()])
    starts = [np.cumsum(lengths[0]) - lengths[0], np.cumsum(lengths[1]) - lengths[1] + lengths[0].sum()]
    total = lengths[0] + lengths[1]
    offsets = np.concatenate([[0], np.cumsum(total)]).astype(np.int32)
    order = np.empty(int(total.sum()), dtype=np.int64)
    for begin, count, at in ((starts[0], lengths[0], offsets[:-1]), (starts[1], lengths[1], offsets[:-1] + lengths[0])):
        step = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        order[np.repeat(at, count) + step] = np.repeat(begin, count) + step
    return pa.ListArray.from_arrays(pa.array(offsets), values.take(pa.array(order)), type=HEADERS)
