"""The format ``lines``: the one text of a record as it is, and a line feed."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as t

from ingest.errors import ConfigError
from ingest.sinks.files.compressed import SUFFIXES, Output
from ingest.sinks.files.joined_rows import ROW, JoinedRows
from ingest.sinks.files.settings import FilesSettings
from ingest.sinks.lake.file_format import Prepared, Refusal
from ingest.sinks.lake.store import Draft


class TextLines:
    """A text with line ends inside stays as it is, and is several lines to who reads the file."""

    name = "plain text"
    chunk_rows = 16 * 1024

    def __init__(self, settings: FilesSettings) -> None:
        self._settings = settings
        self.suffix = ".txt" + SUFFIXES[settings.compression]

    def holds(self, kind: pa.DataType) -> bool:
        return True

    def prepare(self, batch: pa.RecordBatch) -> Prepared:
        if batch.num_columns != 1 or not _is_text(batch.schema.field(0).type):
            found = ", ".join(f"{field.name} ({field.type})" for field in batch.schema)
            raise ConfigError(
                f"the format lines writes one text a record, and the values have the columns {found}",
                hint="choose one with a select transform, or use the format json, csv or delimited",
                setting="format",
            )
        texts = batch.column(0)
        refused = []
        if texts.null_count:
            rows = pc.indices_nonzero(texts.is_null()).to_pylist()
            refused = [Refusal(row, "NullValue", "plain text has no form for null") for row in rows]
            texts = texts.drop_null()
        return Prepared(pa.RecordBatch.from_arrays([texts], names=[ROW]), refused)

    def encoder(self, draft: Draft, schema: pa.Schema) -> JoinedRows:
        output = Output(draft, self._settings.compression, self._settings.compression_level)
        return JoinedRows(output, b"\n")


def _is_text(kind: pa.DataType) -> bool:
    return bool(t.is_string(kind) or t.is_binary(kind) or t.is_large_string(kind) or t.is_large_binary(kind))
