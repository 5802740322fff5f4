"""Text with delimiters, as Hive and Sqoop write it: fields are found in runs of whole records, without a step per row.

The place is ``{"at": byte, "line": number}`` of the next record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.sources.files.content import Content
from ingest.sources.files.delimited_values import values
from ingest.sources.files.pieces import Bad, ObjectReader, Piece, Unreadable
from ingest.sources.files.settings import DelimitedSettings
from ingest.sources.files.text_reader import BYTE_ORDER_MARK, content_of, slices, text_or_null, too_long
from ingest.sources.files.whole_records import Run, WholeRecords, line_of, unescaped


class DelimitedReader(ObjectReader):
    """An empty line is no record where there are several columns."""

    def __init__(
        self, content: Content, settings: DelimitedSettings, place: Mapping[str, Any], *, max_record: int
    ) -> None:
        if not settings.columns:
            raise Unreadable("it does not tell its columns; set `delimited.columns`")
        self._content = content
        self._settings = settings
        self._delimiter = settings.fields_terminated_by.encode()
        self._quote = settings.enclosed_by.encode() if settings.enclosed_by else None
        self._escape = settings.escaped_by.encode() if settings.escaped_by else None
        self._records = WholeRecords(
            content,
            at=place.get("at", 0),
            line=place.get("line", 1),
            quote=settings.enclosed_by,
            max_record=max_record,
            line_end=settings.lines_terminated_by,
            escape=settings.escaped_by,
        )

    def read(self, max_bytes: int) -> Piece | None:
        run = self._records.read(max_bytes)
        if run is None:
            return None
        if run.too_long:
            return self._nothing(too_long(run))
        if run.open_quote:
            reason = f"line {run.line}: an enclosed value that is never closed"
            return self._nothing(Bad(content_of(run, 0), run.at, reason))
        return self._parsed(run)

    def close(self) -> None:
        self._content.close()

    def _parsed(self, run: Run) -> Piece:
        marks, starts = self._marks(run.data), run.starts.astype(np.int64)
        if not run.at and run.data.startswith(BYTE_ORDER_MARK):
            starts[0] = len(BYTE_ORDER_MARK)
        first = np.searchsorted(marks, starts)
        fields = np.searchsorted(marks, run.ends) - first + 1
        wanted = len(self._settings.columns)
        filled = (run.ends > starts) | (wanted == 1)
        reasons = {
            record: f"{fields[record]} values for {wanted} columns"
            for record in np.flatnonzero((fields != wanted) & filled).tolist()
        }
        records = np.flatnonzero((fields == wanted) & filled)
        between = marks[first[records, None] + np.arange(wanted - 1)] if wanted > 1 else np.empty((len(records), 0))
        edges = np.column_stack([starts[records] - 1, between, run.ends[records]]).astype(np.int64)
        return self._piece(run, records, self._columns(run.data, records, edges, reasons), reasons)

    def _marks(self, data: bytes) -> np.ndarray:
        """Where a delimiter stands that is one."""
        content = np.frombuffer(data, np.uint8)
        marks = unescaped(content, self._delimiter, self._escape)
        if self._quote is None:
            return marks
        quotes = unescaped(content, self._quote, self._escape)
        outside: np.ndarray = marks[np.searchsorted(quotes, marks) % 2 == 0]
        return outside

    def _columns(
        self, data: bytes, records: np.ndarray, edges: np.ndarray, reasons: dict[int, str]
    ) -> Sequence[pa.Array]:
        """``edges`` has, for each record, what stands before and behind each of its fields."""
        settings = self._settings
        found = []
        for number, name in enumerate(settings.columns):
            raw = slices(data, edges[:, number] + 1, edges[:, number + 1])
            nulls = settings.null_values_of.get(name, settings.null_values)
            text, bad = text_or_null(values(raw, nulls, self._quote, self._escape))
            for row in bad.tolist():
                reasons.setdefault(int(records[row]), f"{name}: not UTF-8")
            found.append(text)
        return found

    def _piece(self, run: Run, records: np.ndarray, columns: Sequence[pa.Array], reasons: Mapping[int, str]) -> Piece:
        value = pa.StructArray.from_arrays(columns, names=self._settings.columns)
        kept = np.flatnonzero(~np.isin(records, np.array(list(reasons), np.int64)))
        if len(kept) < len(records):
            value, records = value.take(pa.array(kept)), records[kept]
        bad = [
            Bad(content_of(run, record), run.at + int(run.starts[record]), f"line {line_of(run, record)}: {reason}")
            for record, reason in sorted(reasons.items())
        ]
        return Piece(value, pa.array(run.at + run.starts[records], pa.int64()), self._place(), bad)

    def _nothing(self, bad: Bad) -> Piece:
        return Piece(pa.nulls(0, pa.struct([])), pa.array([], pa.int64()), self._place(), [bad])

    def _place(self) -> Mapping[str, Any]:
        return {"at": self._records.at, "line": self._records.line}
