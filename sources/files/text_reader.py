"""Lines of text, and JSON lines. The place is ``{"at": byte, "line": number}`` of the next record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.connectors import Records, Rejected
from ingest.formats import format_named
from ingest.formats.lines import as_text
from ingest.sources.files.content import Content
from ingest.sources.files.pieces import Bad, ObjectReader, Piece
from ingest.sources.files.whole_records import Run, WholeRecords, line_of

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class TextReader(ObjectReader):
    """``form`` is the topic format that the same lines would have: ``lines`` or ``json``."""

    def __init__(self, content: Content, form: str, place: Mapping[str, Any], max_record: int) -> None:
        self._content = content
        self._format = format_named(form)
        self._skip_blank = form == "json"
        at, line = place.get("at", 0), place.get("line", 1)
        self._records = WholeRecords(content, at=at, line=line, quote=None, max_record=max_record)

    def read(self, max_bytes: int) -> Piece | None:
        run = self._records.read(max_bytes)
        if run is None:
            return None
        place = {"at": self._records.at, "line": self._records.line}
        if run.too_long:
            return Piece(pa.nulls(0, pa.string()), pa.array([], pa.int64()), place, [too_long(run)])
        texts, at = texts_of(run), pa.array(run.starts + run.at, pa.int64())
        rows = np.arange(len(texts))
        if self._skip_blank:
            rows = np.flatnonzero(run.ends > run.starts)
        decoded = self._format.decode(Records(value=texts.take(pa.array(rows)), positions=at.take(pa.array(rows))))
        bad = [item for rejected in decoded.rejected for item in _bad(run, rows, rejected)]
        return Piece(decoded.records.value, decoded.records.positions, place, sorted(bad, key=lambda item: item.at))

    def close(self) -> None:
        self._content.close()


def texts_of(run: Run) -> pa.Array:
    """Each record without its line end, as bytes; not copied where nothing but line feeds is between them."""
    starts, ends = run.starts.astype(np.int32), run.ends.astype(np.int32)
    if not run.at and run.data.startswith(BYTE_ORDER_MARK):
        starts = starts.copy()
        starts[0] = len(BYTE_ORDER_MARK)
    return slices(run.data, starts, ends)


def slices(data: bytes, starts: np.ndarray, ends: np.ndarray) -> pa.Array:
    """What stands from each of ``starts`` to its end, in their order, as bytes."""
    # a value and what follows it in turn, and every other one taken: a copy in one pass
    edges = np.empty(2 * len(starts) + 1, np.int32)
    edges[0:-1:2], edges[1::2], edges[-1] = starts, ends, len(data)
    both = pa.Array.from_buffers(pa.binary(), len(edges) - 1, [None, pa.py_buffer(edges), pa.py_buffer(data)])
    return both.take(pa.array(np.arange(0, len(both), 2)))


def text_or_null(column: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """As text, null in the rows that are not UTF-8, and those rows."""
    text, bad = as_text(column)
    if not len(bad):
        return text, bad
    keep = np.ones(len(column), bool)
    keep[bad] = False
    return pc.if_else(pa.array(keep), column, None).cast(pa.string()), bad


def content_of(run: Run, record: int) -> bytes:
    """The bytes of one record, without its line end."""
    return run.data[int(run.starts[record]) : int(run.ends[record])]


def too_long(run: Run) -> Bad:
    """The dead letter for a record that was passed over."""
    kept = content_of(run, 0)
    return Bad(kept, run.at, f"line {run.line}: a record of {run.too_long} bytes, cut to {len(kept)}")


def _bad(run: Run, rows: np.ndarray, rejected: Rejected) -> Sequence[Bad]:
    found = []
    for row, reason in zip(rejected.rows.to_pylist(), rejected.reasons, strict=True):
        record = int(rows[row])
        start = run.at + int(run.starts[record])
        found.append(Bad(content_of(run, record), start, f"line {line_of(run, record)}: {reason}"))
    return found
