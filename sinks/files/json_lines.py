"""The format ``json``: an object a line, types as docs/formats/record-values.md maps them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pyarrow import types as t

from ingest.formats import json_codec
from ingest.sinks.files.compressed import SUFFIXES, Output
from ingest.sinks.files.joined_rows import ROW, JoinedRows
from ingest.sinks.files.settings import FilesSettings
from ingest.sinks.lake.file_format import Prepared, Refusal
from ingest.sinks.lake.store import Draft


class JsonLines:
    """All values of a row are written, null ones too. Names may come and go from line to line."""

    name = "JSON"
    chunk_rows = 16 * 1024

    def __init__(self, settings: FilesSettings) -> None:
        self._settings = settings
        self.suffix = ".jsonl" + SUFFIXES[settings.compression]

    def holds(self, kind: pa.DataType) -> bool:
        return json_holds(kind)

    def prepare(self, batch: pa.RecordBatch) -> Prepared:
        value = pa.StructArray.from_arrays(batch.columns, fields=list(batch.schema))
        texts, reasons = json_codec.encode(value)
        refused = [Refusal(row, "NotWritable", reason) for row, reason in sorted(reasons.items())]
        if refused:
            texts = texts.take(pa.array(np.delete(np.arange(len(texts)), sorted(reasons))))
        return Prepared(pa.RecordBatch.from_arrays([texts.cast(pa.large_binary())], names=[ROW]), refused)

    def encoder(self, draft: Draft, schema: pa.Schema) -> JoinedRows:
        output = Output(draft, self._settings.compression, self._settings.compression_level)
        return JoinedRows(output, b"\n")


def json_holds(kind: pa.DataType) -> bool:
    """Whether the innermost type ``kind`` has a form in JSON."""
    return not (t.is_union(kind) or t.is_interval(kind))
