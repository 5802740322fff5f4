"""The format ``csv``, by Arrow's writer: texts in quotes, null as nothing, so that an empty text is not null."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from pyarrow import types as t

from ingest.sinks.files.compressed import SUFFIXES, Output
from ingest.sinks.files.json_lines import json_holds
from ingest.sinks.files.json_values import base64_texts, json_texts, without
from ingest.sinks.files.settings import FilesSettings
from ingest.sinks.lake.file_format import Prepared, Refusal
from ingest.sinks.lake.store import Draft

_BUFFER_BYTES = 256 * 1024


class CsvRows:
    """Objects, lists and maps are written as their JSON text, binary values in base64."""

    name = "CSV"
    chunk_rows = 16 * 1024

    def __init__(self, settings: FilesSettings) -> None:
        self._settings = settings
        suffix = ".tsv" if settings.csv.delimiter == "\t" else ".csv"
        self.suffix = suffix + SUFFIXES[settings.compression]

    def holds(self, kind: pa.DataType) -> bool:
        return json_holds(kind)

    def prepare(self, batch: pa.RecordBatch) -> Prepared:
        refused: dict[int, str] = {}
        columns = []
        for column in batch.columns:
            texts, reasons = _plain(column)
            columns.append(texts)
            refused = reasons | refused
        if len(columns) == 1 and columns[0].null_count:
            rows = pc.indices_nonzero(columns[0].is_null()).to_pylist()
            refused = dict.fromkeys(rows, "a null alone would be an empty line, which readers pass over") | refused
        prepared = pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
        rows = sorted(refused)
        return Prepared(without(prepared, rows), [Refusal(row, "NotWritable", refused[row]) for row in rows])

    def encoder(self, draft: Draft, schema: pa.Schema) -> CsvEncoder:
        output = Output(draft, self._settings.compression, self._settings.compression_level)
        options = pa.csv.WriteOptions(
            include_header=self._settings.csv.header,
            delimiter=self._settings.csv.delimiter,
            quoting_style="needed",
            batch_size=self.chunk_rows,
        )
        return CsvEncoder(output, schema, options)


class CsvEncoder:
    """See ``Encoder``."""

    def __init__(self, output: Output, schema: pa.Schema, options: pa.csv.WriteOptions) -> None:
        self._output = output
        self._stream = pa.BufferedOutputStream(pa.PythonFile(output, mode="w"), _BUFFER_BYTES)
        self._writer = pa.csv.CSVWriter(self._stream, schema, write_options=options)

    def write(self, rows: pa.Table) -> None:
        self._writer.write_table(rows)
        self._stream.flush()

    def finish(self, about: Mapping[str, Any]) -> None:
        self._writer.close()
        self._stream.close()
        self._output.finish()

    def abandon(self) -> None:
        with contextlib.suppress(Exception):
            self._writer.close()


def _plain(column: pa.Array) -> tuple[pa.Array, dict[int, str]]:
    """The column as one that Arrow's writer takes, and the rows that have no form."""
    kind = column.type
    if t.is_nested(kind):
        return json_texts(column)
    if t.is_binary(kind) or t.is_large_binary(kind) or t.is_fixed_size_binary(kind):
        return base64_texts(column), {}
    return column, {}
