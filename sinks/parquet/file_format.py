"""Parquet as the format of a table's files."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types as t

from ingest.sinks.lake.file_format import Prepared
from ingest.sinks.lake.store import Draft
from ingest.sinks.parquet.dictionaries import columns_with_dictionaries
from ingest.sinks.parquet.settings import ParquetSettings

ROW_GROUP_ROWS = 128 * 1024
"""A row group is written once so many rows wait; smaller ones only at a file's end, or when memory is short."""
_BUFFER_BYTES = 256 * 1024
_ENCODED_ROWS = 16 * 1024
"""So many values are encoded in one go; the library's own 1,024 cost a tenth more."""


class ParquetFormat:
    """Pages and their compression by the settings; see ``FileFormat``."""

    name = "Parquet"
    suffix = ".parquet"
    chunk_rows = ROW_GROUP_ROWS

    def __init__(self, settings: ParquetSettings) -> None:
        self._compression = "NONE" if settings.compression == "none" else settings.compression
        self._level = settings.compression_level

    def holds(self, kind: pa.DataType) -> bool:
        return not (t.is_union(kind) or t.is_interval(kind))

    def prepare(self, batch: pa.RecordBatch) -> Prepared:
        return Prepared(batch.replace_schema_metadata(None))

    def encoder(self, draft: Draft, schema: pa.Schema) -> ParquetEncoder:
        return ParquetEncoder(draft, schema, self._compression, self._level)


class ParquetEncoder:
    """Each write is a row group. The first one tells which columns are worth a dictionary."""

    def __init__(self, draft: Draft, schema: pa.Schema, compression: str, level: int | None) -> None:
        # pages come with headers of a few bytes each: gathered, they are few calls into Python
        self._stream = pa.BufferedOutputStream(pa.PythonFile(draft, mode="w"), _BUFFER_BYTES)
        self._schema = schema
        self._compression = compression
        self._level = level
        self._writer: pq.ParquetWriter | None = None

    def write(self, rows: pa.Table) -> None:
        if self._writer is None:
            self._writer = self._opened(columns_with_dictionaries(rows))
        self._writer.write_table(rows, row_group_size=rows.num_rows)
        self._stream.flush()

    def finish(self, about: Mapping[str, Any]) -> None:
        writer = self._writer or self._opened([])
        writer.add_key_value_metadata({"ingest": orjson.dumps(dict(about)).decode()})
        writer.close()
        self._stream.close()

    def abandon(self) -> None:
        # the library would close it at some later time, from a destructor
        with contextlib.suppress(Exception):
            if self._writer is not None:
                self._writer.close()

    def _opened(self, dictionaries: list[str]) -> pq.ParquetWriter:
        """Decimals of up to 18 digits are integers on disk, as the specification has them: bytes of a fixed length
        cost more to write and to read."""
        return pq.ParquetWriter(
            self._stream,
            self._schema,
            compression=self._compression,
            compression_level=self._level,
            use_dictionary=dictionaries,
            store_decimal_as_integer=True,
            version="2.6",
            write_page_index=True,
            write_page_checksum=True,
            write_batch_size=_ENCODED_ROWS,
        )
