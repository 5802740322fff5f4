"""The format ``delimited``: files that Hive's text tables, and Sqoop's users, expect."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as t

from ingest.sinks.files.compressed import SUFFIXES, Output
from ingest.sinks.files.hive_text import LEVELS, HiveText
from ingest.sinks.files.joined_rows import ROW, JoinedRows
from ingest.sinks.files.json_values import without
from ingest.sinks.files.settings import FilesSettings
from ingest.sinks.lake.file_format import Prepared, Refusal
from ingest.sinks.lake.store import Draft

_COLUMNS = b"ingest.columns"


class Delimited:
    """Columns by place, not by name: new ones come last, and a file has the same ones in every row."""

    name = "Hive's text"
    chunk_rows = 16 * 1024

    def __init__(self, settings: FilesSettings) -> None:
        self._settings = settings
        self._text = HiveText(settings.delimited)
        self.suffix = ".dsv" + SUFFIXES[settings.compression]

    def holds(self, kind: pa.DataType) -> bool:
        return not (t.is_union(kind) or t.is_interval(kind))

    def prepare(self, batch: pa.RecordBatch) -> Prepared:
        reasons: dict[int, str] = {}
        for field, column in zip(batch.schema, batch.columns, strict=True):
            if self._text.depth(field.type) >= LEVELS:
                rows = pc.indices_nonzero(column.is_valid()).to_pylist()
                reasons |= dict.fromkeys(rows, f"{field.name}: nested deeper than Hive has separators")
        batch = without(batch, sorted(reasons))
        found = self._text.rows([self._shallow(column) for column in batch.columns])
        texts, refused = found.texts, [Refusal(row, "NotWritable", reasons[row]) for row in sorted(reasons)]
        if found.bad is not None and found.bad.any():
            kept = [row for row in range(len(batch) + len(reasons)) if row not in reasons]
            why = "a text holds a delimiter, a line end or null's own text, and escaped_by is not set"
            refused += [Refusal(kept[row], "NotWritable", why) for row in found.bad.nonzero()[0].tolist()]
            texts = texts.filter(pa.array(~found.bad))
        schema = pa.schema([pa.field(ROW, texts.type)], {_COLUMNS: batch.schema.to_string().encode()})
        return Prepared(pa.RecordBatch.from_arrays([texts], schema=schema), refused)

    def encoder(self, draft: Draft, schema: pa.Schema) -> JoinedRows:
        output = Output(draft, self._settings.compression, self._settings.compression_level)
        return JoinedRows(output, self._settings.delimited.lines_terminated_by.encode())

    def _shallow(self, column: pa.Array) -> pa.Array:
        """A column that is too deep holds only nulls by now."""
        deep = self._text.depth(column.type) >= LEVELS
        return pa.nulls(len(column), pa.string()) if deep else column
