"""``Records`` to record batches and back. No row is touched in Python."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.connectors import HEADERS, TIMESTAMP, Records
from ingest.errors import FormatError
from ingest.log.partition_reader import ReadResult
from ingest.log.topic_config import TopicConfig
from ingest.wire.batch import BatchHeader, whole_batches
from ingest.wire.codec import decode_batch, each_batch, encode_batches
from ingest.wire.columns import RecordColumns

# What a batch aims at where the topic allows it: large enough for one sync and few headers, small enough for caches.
_BATCH_BYTES = 1 << 20
_RECORD_BYTES = 10


def encode(records: Records, config: TopicConfig, now_ms: int, **stamp: Any) -> Iterable[bytearray]:
    """Batches no larger than the topic allows; ``stamp`` is that of a transaction.

    Each is made when it is asked for, so that bulk is encoded and written in the processor's cache. Raises
    ``TooLarge`` at once if one record alone is larger; its row is the fact ``row``.
    """
    compression = "none" if config.compression_type in ("producer", "uncompressed") else config.compression_type
    columns = RecordColumns(
        values=_binary(records.value),
        keys=None if records.key is None else _binary(records.key),
        timestamps=_timestamps(records, config, now_ms),
        headers=_whole(records.headers),
        common_headers=records.common_headers,
    )
    level = None if compression == "none" else getattr(config, f"compression_{compression}_level", None)
    options = {**stamp, "compression": compression, "level": level}
    limit = config.max_message_bytes
    if _fit_into_one(columns, limit) or _may_be_too_large(columns, limit):
        return encode_batches(columns, max_batch_bytes=limit, **options)
    return each_batch(columns, batch_bytes=_BATCH_BYTES, max_batch_bytes=limit, **options)


def decode(
    found: ReadResult, topic: str, partition: int, max_bytes: int, *, want_headers: bool = True
) -> tuple[Records | None, int]:
    """The visible records of what was read, and where to read on.

    Stops before ``found.end`` when the records, decompressed, take ``max_bytes``.
    """
    parts: list[RecordColumns] = []
    size, end = 0, found.end
    for position, header in whole_batches(found.buffer):
        if header.is_control or _is_aborted(header, found.aborted):
            continue
        columns = _from_offset(decode_batch(found.buffer, header, position, want_headers=want_headers), found.start)
        if len(columns):
            parts.append(columns)
        size += sum(column.nbytes for column in (columns.values, columns.keys, columns.headers) if column is not None)
        if size >= max_bytes and header.next_offset < found.end:
            end = header.next_offset
            break
    return (_joined(parts, topic, partition) if parts else None), end


def _fit_into_one(columns: RecordColumns, limit: int) -> bool:
    """Whether all records surely are one batch of ordinary size."""
    overhead = _RECORD_BYTES + sum(len(name) + len(value or b"") + 4 for name, value in columns.common_headers)
    return _size(columns) + overhead * len(columns) <= min(limit, _BATCH_BYTES)


def _may_be_too_large(columns: RecordColumns, limit: int) -> bool:
    """Whether some record might not fit into a batch: then all are encoded before the first is appended."""
    if columns.headers is not None:
        return _size(columns) > limit
    longest = pc.max(pc.binary_length(columns.values)).as_py() or 0
    if columns.keys is not None:
        longest += pc.max(pc.binary_length(columns.keys)).as_py() or 0
    longest += sum(len(name) + len(value or b"") + 8 for name, value in columns.common_headers)
    return bool(longest + 128 > limit)


def _size(columns: RecordColumns) -> int:
    found = (columns.values, columns.keys, columns.headers)
    return sum(column.nbytes for column in found if column is not None)


def _whole(column: pa.Array | None) -> pa.Array | None:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _is_aborted(header: BatchHeader, aborted: Sequence[tuple[int, int, int]]) -> bool:
    return header.is_transactional and any(
        producer_id == header.producer_id and first <= header.base_offset <= last
        for producer_id, first, last in aborted
    )


def _from_offset(columns: RecordColumns, start: int) -> RecordColumns:
    """Without the records before ``start``, where a read began in the middle of a batch."""
    assert columns.offsets is not None
    skip = int(np.searchsorted(columns.offsets, start))
    if skip == 0:
        return columns
    return RecordColumns(
        values=columns.values[skip:],
        timestamps=columns.timestamps[skip:],
        keys=columns.keys and columns.keys[skip:],
        headers=columns.headers and columns.headers[skip:],
        offsets=columns.offsets[skip:],
    )


def _joined(parts: Sequence[RecordColumns], topic: str, partition: int) -> Records:
    return Records(
        value=_concatenated([part.values for part in parts]),
        topic=topic,
        key=_optional([part.keys for part in parts], [len(part) for part in parts], pa.binary()),
        timestamp=_column([part.timestamps for part in parts], TIMESTAMP),
        headers=_optional([part.headers for part in parts], [len(part) for part in parts], HEADERS),
        partition=partition,
        offsets=_column([part.offsets for part in parts if part.offsets is not None], pa.int64()),
    )


def _optional(columns: Sequence[pa.Array | None], lengths: Sequence[int], kind: pa.DataType) -> pa.Array | None:
    """One column of all parts; None if no part has it, nulls (no headers: empty lists) where one has not."""
    if all(column is None for column in columns):
        return None
    blank = pa.scalar([] if kind == HEADERS else None, kind)
    filled = [pa.repeat(blank, n) if column is None else column for column, n in zip(columns, lengths, strict=True)]
    return _concatenated(filled)


def _concatenated(arrays: Sequence[pa.Array]) -> pa.Array:
    if len(arrays) == 1:
        return arrays[0]
    if any(pa.types.is_large_binary(array.type) for array in arrays):
        arrays = [array.cast(pa.large_binary()) for array in arrays]
    return pa.concat_arrays(arrays)


def _column(parts: Sequence[npt.NDArray[np.int64]], kind: pa.DataType) -> pa.Array:
    joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return pa.Array.from_buffers(kind, len(joined), [None, pa.py_buffer(np.ascontiguousarray(joined))])


def _timestamps(records: Records, config: TopicConfig, now_ms: int) -> npt.NDArray[np.int64]:
    """The arrival where a record has no time, or one that is further ahead of the clock than the topic allows."""
    if records.timestamp is None:
        return np.full(len(records), now_ms, np.int64)
    times = records.timestamp
    if isinstance(times, pa.ChunkedArray):
        times = times.combine_chunks()
    if times.type != TIMESTAMP:
        times = times.cast(TIMESTAMP, safe=False)
    numbers = times.cast(pa.int64())
    if numbers.null_count:
        numbers = numbers.fill_null(now_ms)
    found: npt.NDArray[np.int64] = numbers.to_numpy(zero_copy_only=False)
    latest = now_ms + config.message_timestamp_after_max_ms
    return np.where(found > latest, now_ms, found) if len(found) and int(found.max()) > latest else found


def _binary(column: pa.Array) -> pa.Array:
    """Text is its UTF-8 bytes; other types were never encoded."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    kind = column.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return column
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column.view(pa.binary() if pa.types.is_string(kind) else pa.large_binary())
    if pa.types.is_null(kind):
        return column.cast(pa.binary())
    raise FormatError(f"a hub takes encoded records: bytes or text, not {kind}", hint="encode them by a format first")
