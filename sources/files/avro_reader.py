"""Avro object container files, block by block. The place is ``{"block": byte, "row": row inside of it, "rows": all}``.

fastavro decodes the rows of a block; the frame of blocks is read here, so that a resume begins at its block.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
import pyarrow as pa

from ingest.errors import MissingDependency
from ingest.formats.avro_binary import Cursor, NotAvro, put_long
from ingest.sources.files.avro_codecs import MOST_BYTES, plain_block
from ingest.sources.files.avro_types import arrow_type
from ingest.sources.files.pieces import ObjectReader, Piece, Unreadable

_MAGIC = b"Obj\x01"
_SYNC_BYTES = 16
_MOST_ROWS = 1 << 24
"""A block that claims more is not believed: rows of no bytes at all would fill the memory."""


class AvroReader(ObjectReader):
    """One block is in memory, decoded; a piece has some of its rows."""

    def __init__(self, file: IO[bytes], place: Mapping[str, Any]) -> None:
        self._fastavro = _fastavro()
        self._file = file
        self._read_header()
        self._block = int(place.get("block", self._first_block))
        self._skip = int(place.get("row", 0))
        self._rows = int(place.get("rows", 0))
        self._column: pa.Array | None = None
        file.seek(self._block)

    def read(self, max_bytes: int) -> Piece | None:
        while self._column is None or self._skip >= len(self._column):
            if self._column is not None:
                self._block, self._skip = self._file.tell(), 0
            self._column = self._read_block()
            if self._column is None:
                return None
        column = self._column
        take = max(1, min(len(column) - self._skip, len(column) * max_bytes // max(1, column.nbytes)))
        value = column.slice(self._skip, take)
        at = pa.array(np.arange(self._rows, self._rows + take, dtype=np.int64))
        self._skip += take
        self._rows += take
        return Piece(value, at, {"block": self._block, "row": self._skip, "rows": self._rows})

    def close(self) -> None:
        self._file.close()

    def _read_header(self) -> None:
        if self._file.read(len(_MAGIC)) != _MAGIC:
            raise Unreadable("it is no Avro object container file")
        metadata: dict[str, bytes] = {}
        while count := self._long():
            if count < 0:
                count, _ = -count, self._long()
            for _ in range(count):
                key = self._bytes().decode("utf-8", "replace")
                metadata[key] = self._bytes()
        self._sync = self._exactly(_SYNC_BYTES)
        self._first_block = self._file.tell()
        self._codec = metadata.get("avro.codec", b"null").decode("utf-8", "replace")
        try:
            declared = json.loads(metadata["avro.schema"])
            self._kind = arrow_type(declared)
        except (LookupError, ValueError, TypeError, AttributeError, RecursionError, pa.ArrowException) as error:
            raise Unreadable(f"its header holds no schema of Avro: {error!r}") from None
        self._is_record = pa.types.is_struct(self._kind)
        self._declared = json.dumps(_without_uuid(declared)).encode()

    def _read_block(self) -> pa.Array | None:
        first = self._file.read(1)
        if not first:
            return None
        count, size = self._long(first), self._long()
        if not 0 <= count <= _MOST_ROWS or not 0 <= size <= MOST_BYTES:
            raise Unreadable(f"a block at byte {self._block} claims {count} rows in {size} bytes")
        content = self._exactly(size)
        if self._exactly(_SYNC_BYTES) != self._sync:
            raise Unreadable(f"the block at byte {self._block} does not end where it says")
        rows = self._decode(count, content)
        try:
            return pa.array(rows if self._is_record else [{"value": row} for row in rows], self._struct())
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise Unreadable(f"the block at byte {self._block} holds a value that no column can: {error}") from None

    def _struct(self) -> pa.DataType:
        return self._kind if self._is_record else pa.struct([("value", self._kind)])

    def _decode(self, count: int, content: bytes) -> list[Any]:
        codec, content = plain_block(self._codec, content)
        frame = bytearray(_MAGIC)
        put_long(2, frame)
        for text in (b"avro.schema", self._declared, b"avro.codec", codec.encode()):
            put_long(len(text), frame)
            frame += text
        frame += b"\0" + self._sync
        put_long(count, frame)
        put_long(len(content), frame)
        try:
            return list(self._fastavro.reader(io.BytesIO(b"".join([frame, content, self._sync]))))
        except Exception as error:
            # whatever the library makes of bytes that are none of its own
            raise Unreadable(f"the block at byte {self._block} cannot be read: {error!r}") from None

    def _long(self, first: bytes = b"") -> int:
        data = first
        while not data or data[-1] & 0x80:
            byte = self._file.read(1)
            if not byte or len(data) >= 10:
                raise Unreadable("it ends in the middle of a block")
            data += byte
        try:
            return Cursor(data, 0).long()
        except NotAvro as error:
            raise Unreadable(str(error)) from None

    def _bytes(self) -> bytes:
        return self._exactly(self._long())

    def _exactly(self, size: int) -> bytes:
        if not 0 <= size <= MOST_BYTES:
            raise Unreadable(f"{size} bytes are announced at byte {self._file.tell()}")
        data = self._file.read(size)
        if len(data) < size:
            raise Unreadable("it ends in the middle of a block")
        return data


def _without_uuid(declared: Any) -> Any:
    """A UUID stays the text that it is."""
    if isinstance(declared, list):
        return [_without_uuid(item) for item in declared]
    if not isinstance(declared, dict):
        return declared
    kept = {key: _without_uuid(item) for key, item in declared.items()}
    if kept.get("logicalType") not in _KEPT_LOGICAL:
        kept.pop("logicalType", None)
    return kept


_KEPT_LOGICAL = (
    "decimal",
    "date",
    "time-millis",
    "time-micros",
    "timestamp-millis",
    "timestamp-micros",
    "local-timestamp-millis",
    "local-timestamp-micros",
)


def _fastavro() -> Any:
    try:
        import fastavro
    except ImportError as error:
        raise MissingDependency("reading Avro needs fastavro", hint="pip install 'ingest[avro]'") from error
    return fastavro
