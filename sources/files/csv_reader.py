"""CSV by Arrow's parser, over runs of whole records, so that the place is a byte and a bad row stands alone.

The place is ``{"at", "line", "columns", "types"}``: names and guessed types of the object stay with it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from ingest.formats.type_names import type_named
from ingest.sources.files.content import Content
from ingest.sources.files.csv_types import converted, guess
from ingest.sources.files.pieces import Bad, ObjectReader, Piece, Unreadable
from ingest.sources.files.settings import CsvSettings
from ingest.sources.files.text_reader import BYTE_ORDER_MARK, content_of, text_or_null, too_long
from ingest.sources.files.whole_records import Run, WholeRecords, line_of


class CsvReader(ObjectReader):
    """An empty line is no record where there are several columns."""

    def __init__(
        self, content: Content, settings: CsvSettings, place: Mapping[str, Any], *, delimiter: str, max_record: int
    ) -> None:
        self._content = content
        self._settings = settings
        self._delimiter = delimiter
        self._columns: list[str] | None = place.get("columns")
        self._guessed: dict[str, str] | None = place.get("types")
        at, line = place.get("at", 0), place.get("line", 1)
        self._records = WholeRecords(content, at=at, line=line, quote=settings.quote, max_record=max_record)

    def read(self, max_bytes: int) -> Piece | None:
        run = self._records.read(max_bytes)
        if run is None:
            return None
        first = 0
        if self._columns is None:
            if run.too_long:
                raise Unreadable(f"the header is longer than {len(run.data)} bytes")
            if run.open_quote:
                raise Unreadable("the header has a quote that is never closed")
            first = self._name_columns(run)
        if run.too_long:
            return self._piece(pa.nulls(0, pa.struct([])), np.empty(0, np.int64), [too_long(run)])
        if run.open_quote:
            bad = Bad(content_of(run, 0), run.at, f"line {run.line}: a quote that is never closed")
            return self._piece(pa.nulls(0, pa.struct([])), np.empty(0, np.int64), [bad])
        return self._parsed(run, first)

    def close(self) -> None:
        self._content.close()

    def _name_columns(self, run: Run) -> int:
        """Takes the names from the settings, or from the first record; returns where the rows begin."""
        settings = self._settings
        if not settings.header:
            self._columns = list(settings.columns or ())
            return 0
        text = content_of(run, 0)
        if not run.at:
            text = text.removeprefix(BYTE_ORDER_MARK)
        try:
            names = next(csv.reader(io.StringIO(text.decode(), newline=""), **self._dialect()), [])
        except (UnicodeDecodeError, csv.Error) as error:
            raise Unreadable(f"the header cannot be read: {error}") from None
        wanted = settings.columns
        if wanted is not None and len(wanted) != len(names):
            raise Unreadable(f"the header has {len(names)} names, and `columns` {len(wanted)}")
        twice = next((name for name in names if names.count(name) > 1), None)
        if wanted is None and twice is not None:
            raise Unreadable(f"the header has the name {twice!r} twice; name the `columns`")
        self._columns = list(wanted or names)
        return 1

    def _dialect(self) -> dict[str, Any]:
        quote = self._settings.quote
        if quote is None:
            return {"delimiter": self._delimiter, "quoting": csv.QUOTE_NONE}
        return {"delimiter": self._delimiter, "quotechar": quote}

    def _parsed(self, run: Run, first: int) -> Piece:
        assert self._columns is not None
        if first == len(run.starts):
            return self._piece(pa.nulls(0, pa.struct([])), np.empty(0, np.int64), [])
        reasons: dict[int, str] = {}
        start = int(run.starts[first])
        if not run.at and not first and run.data.startswith(BYTE_ORDER_MARK):
            start += len(BYTE_ORDER_MARK)
        table = self._parse(run.data[start:], first, reasons)
        records = np.setdiff1d(np.arange(first, len(run.starts)), np.array(list(reasons), np.int64))
        if len(records) != table.num_rows:
            raise Unreadable(f"line {run.line}: quotes are not in order in this object")
        if len(self._columns) > 1:
            blank = run.ends[records] == run.starts[records]
            table, records = table.filter(pa.array(~blank)), records[~blank]
        columns, kept = self._typed(table, records, reasons)
        value = pa.StructArray.from_arrays(columns, names=self._columns)
        if len(kept) < len(records):
            value = value.take(pa.array(kept))
        bad = [
            Bad(content_of(run, record), run.at + int(run.starts[record]), f"line {line_of(run, record)}: {reason}")
            for record, reason in sorted(reasons.items())
        ]
        return self._piece(value, run.at + run.starts[records[kept]], bad)

    def _parse(self, data: bytes, first: int, reasons: dict[int, str]) -> pa.Table:
        """All columns as bytes. Rows with too few or too many values are left out, and told in ``reasons``."""
        assert self._columns is not None

        def refuse(row: Any) -> str:
            reasons[first + row.number - 1] = f"{row.actual_columns} values for {row.expected_columns} columns"
            return "skip"

        settings = self._settings
        try:
            return pa.csv.read_csv(
                pa.BufferReader(data),
                pa.csv.ReadOptions(column_names=self._columns, use_threads=False, block_size=len(data) + 1),
                pa.csv.ParseOptions(
                    delimiter=self._delimiter,
                    quote_char=settings.quote or False,
                    newlines_in_values=settings.quote is not None,
                    ignore_empty_lines=False,
                    invalid_row_handler=refuse,
                ),
                pa.csv.ConvertOptions(
                    column_types=dict.fromkeys(self._columns, pa.binary()),
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                    null_values=settings.null_values,
                ),
            )
        except pa.ArrowInvalid as error:
            raise Unreadable(str(error)) from None

    def _typed(
        self, table: pa.Table, records: np.ndarray, reasons: dict[int, str]
    ) -> tuple[list[pa.Array], np.ndarray]:
        """The columns, and the rows in which every value fits. The first rows of an object decide what is guessed."""
        assert self._columns is not None
        refused: set[int] = set()
        texts = []
        for name in self._columns:
            column, bad = text_or_null(table.column(name).combine_chunks())
            texts.append(column)
            refused.update(bad.tolist())
            reasons.update(
                {int(records[row]): f"{name}: not UTF-8" for row in bad.tolist() if records[row] not in reasons}
            )
        if self._guessed is None and self._settings.infer_types and len(records):
            self._guessed = {name: guess(text) for name, text in zip(self._columns, texts, strict=True)}
        types = {**(self._guessed or {}), **self._settings.types}
        columns = []
        for name, text in zip(self._columns, texts, strict=True):
            column, bad = converted(text, type_named(types.get(name, "string")))
            columns.append(column)
            for row in bad.tolist():
                refused.add(row)
                reasons.setdefault(int(records[row]), f"{name}: {text[row].as_py()!r:.60} is no {types[name]}")
        return columns, np.setdiff1d(np.arange(len(records)), np.array(sorted(refused), np.int64))

    def _piece(self, value: pa.Array, at: np.ndarray, bad: Sequence[Bad]) -> Piece:
        place: dict[str, Any] = {"at": self._records.at, "line": self._records.line, "columns": self._columns}
        if self._guessed is not None:
            place["types"] = self._guessed
        return Piece(value, pa.array(at, pa.int64()), place, bad)
