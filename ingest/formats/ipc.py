"""Rows of one record as an Arrow IPC stream, and back; bytes of strangers are checked before use."""

from __future__ import annotations

import pyarrow as pa

VALUE, KEY, ROW_TIMESTAMP, ROW_HEADERS = "value", "key", "timestamp", "headers"
_MARK = b"ingest.rows"
_VERSION = b"1"
_END = b"\xff\xff\xff\xff\0\0\0\0"
"""Arrow takes a stream that is cut between two messages for a whole one; ours always end with this."""


def mark(schema: pa.Schema) -> pa.Schema:
    """The schema of our own streams: what a row's value is, is then the column ``value``."""
    return schema.with_metadata({**(schema.metadata or {}), _MARK: _VERSION})


def size_bytes(rows: pa.RecordBatch) -> int:
    """How long the stream of ``rows`` is; only its metadata is made."""
    sink = pa.MockOutputStream()
    _write(sink, rows)
    return int(sink.size())


def write(parts: list[pa.RecordBatch]) -> pa.Array:
    """One stream a part, as a binary column that holds each byte once."""
    sink = pa.BufferOutputStream()
    offsets = [0]
    for part in parts:
        _write(sink, part)
        offsets.append(sink.tell())
    wide = offsets[-1] > 2**31 - 1
    positions = pa.array(offsets, type=pa.int64() if wide else pa.int32())
    kind = pa.large_binary() if wide else pa.binary()
    return pa.Array.from_buffers(kind, len(parts), [None, positions.buffers()[1], sink.getvalue()])


def read(stream: pa.Buffer) -> pa.RecordBatch:
    """The rows as columns ``value`` and, where they were written, ``key``, ``timestamp`` and ``headers``.

    A stream of anyone else is one row per row of its table, its columns as the value. Raises
    ``pa.ArrowException`` or ``ValueError`` for bytes that are no whole, valid stream.
    """
    with pa.ipc.open_stream(stream) as reader:
        table = reader.read_all()
    if table.schema.metadata and table.schema.metadata.get(_MARK) == _VERSION:
        if not bytes(stream[-len(_END) :]) == _END:
            raise ValueError("its end is missing")
        batch = _one_batch(table)
    else:
        whole = _one_batch(table)
        value = pa.StructArray.from_arrays(whole.columns, fields=list(whole.schema))
        batch = pa.RecordBatch.from_arrays([value], names=[VALUE])
    # Offsets that lie would make later kernels read beyond the buffers.
    batch.validate(full=True)
    if batch.schema.get_field_index(VALUE) < 0:
        raise ValueError("it has no column 'value'")
    return batch


def _write(sink: pa.NativeFile, rows: pa.RecordBatch) -> None:
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_batch(rows)


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.to_batches()
    if len(batches) == 1:
        return batches[0]
    columns = [column.combine_chunks() for column in table.columns]
    arrays = [c.chunk(0) if isinstance(c, pa.ChunkedArray) else c for c in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=table.schema)
