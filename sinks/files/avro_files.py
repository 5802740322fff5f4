"""The format ``avro``: object container files, https://avro.apache.org/docs/1.12.0/specification/#object-container-files"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import pyarrow as pa
from pyarrow import types as t

from ingest.formats.avro_binary import put_long
from ingest.formats.avro_schema import avro_schema
from ingest.sinks.files.avro_columns import avro_rows
from ingest.sinks.files.compressed import squeeze
from ingest.sinks.files.joined_rows import ROW, joined, pieces
from ingest.sinks.files.json_values import without
from ingest.sinks.files.settings import FilesSettings
from ingest.sinks.lake.file_format import Prepared, Refusal
from ingest.sinks.lake.store import Draft

_MAGIC = b"Obj\x01"
_SCHEMA = b"ingest.avro"
_CODECS = {"none": "null", "gzip": "deflate", "zstd": "zstandard", "bz2": "bzip2"}
BLOCK_BYTES = 256 * 1024
"""A block is what readers skip, decompress and resume by."""


class AvroFiles:
    """The schema is made from the columns; its mapping is docs/formats/record-values.md."""

    name = "Avro"
    suffix = ".avro"
    chunk_rows = 16 * 1024

    def __init__(self, settings: FilesSettings) -> None:
        self._settings = settings

    def holds(self, kind: pa.DataType) -> bool:
        return not (t.is_union(kind) or t.is_interval(kind))

    def prepare(self, batch: pa.RecordBatch) -> Prepared:
        refused: list[int] = []
        try:
            rows = avro_rows(batch)
        except pa.ArrowInvalid:
            refused = _unfit(batch)
            rows = avro_rows(without(batch, refused))
        schema = pa.schema([pa.field(ROW, rows.type)], {_SCHEMA: _declared(batch.schema)})
        reason = "a time that Avro's types do not hold"
        refusals = [Refusal(row, "NotWritable", reason) for row in refused]
        return Prepared(pa.RecordBatch.from_arrays([rows], schema=schema), refusals)

    def encoder(self, draft: Draft, schema: pa.Schema) -> AvroEncoder:
        return AvroEncoder(draft, schema.metadata[_SCHEMA], self._settings)


class AvroEncoder:
    """Header, then blocks; see ``Encoder``."""

    def __init__(self, draft: Draft, declared: bytes, settings: FilesSettings) -> None:
        self._draft = draft
        self._compression, self._level = settings.compression, settings.compression_level
        # any 16 bytes that the content is unlikely to hold; the same for the same file, so that a test can compare
        self._sync = hashlib.sha256(declared + draft.path.encode()).digest()[:16]
        draft.write(_header(declared, _CODECS[settings.compression], self._sync))

    def write(self, rows: pa.Table) -> None:
        for piece in pieces(rows.column(ROW)):
            for block in _blocks(piece):
                self._write_block(len(block), joined(block, b"").to_pybytes())

    def finish(self, about: Mapping[str, Any]) -> None:
        return

    def abandon(self) -> None:
        return

    def _write_block(self, count: int, content: bytes) -> None:
        squeezed = squeeze(content, self._compression, self._level)
        frame = bytearray()
        put_long(count, frame)
        put_long(len(squeezed), frame)
        self._draft.write(b"".join([frame, squeezed, self._sync]))


@lru_cache(maxsize=64)
def _declared(schema: pa.Schema) -> bytes:
    return json.dumps(avro_schema(schema)).encode()


def _header(declared: bytes, codec: str, sync: bytes) -> bytes:
    entries = {b"avro.schema": declared, b"avro.codec": codec.encode()}
    out = bytearray(_MAGIC)
    put_long(len(entries), out)
    for text in (text for entry in entries.items() for text in entry):
        put_long(len(text), out)
        out += text
    out.append(0)
    return bytes(out + sync)


def _blocks(rows: pa.Array) -> list[pa.Array]:
    """Runs of rows of about the size of a block."""
    count = max(1, -(-rows.nbytes // BLOCK_BYTES))
    step = -(-len(rows) // count)
    return [rows.slice(start, step) for start in range(0, len(rows), step)]


def _unfit(batch: pa.RecordBatch) -> list[int]:
    """The rows that cannot be written, found by halving the batch; there are few, or none."""
    found: list[int] = []
    parts = [(0, batch.num_rows)]
    while parts:
        start, length = parts.pop()
        try:
            avro_rows(batch.slice(start, length))
        except pa.ArrowInvalid:
            if length == 1:
                found.append(start)
            else:
                parts += [(start, length // 2), (start + length // 2, length - length // 2)]
    return sorted(found)
