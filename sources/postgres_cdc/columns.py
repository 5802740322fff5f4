"""Columns of a table out of the rows of a stream: with the types that an import of the table gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.sources.databases.changes import UNAVAILABLE
from ingest.sources.postgres.types import CopiedColumn
from ingest.sources.postgres_cdc import messages

_KINDS = {
    "bool": messages.BOOL,
    "int2": messages.INT2,
    "int4": messages.INT4,
    "int8": messages.INT8,
    "oid": messages.OID,
    "date": messages.DATE,
    "time": messages.TIME,
    "timestamp": messages.TIMESTAMP,
    "timestamptz": messages.TIMESTAMP,
    "bytea": messages.BYTES,
}
"""By the wire type of a COPY; all others are texts in the stream."""
_NO_NUMBERS = pa.array(["NaN", "Infinity", "-Infinity"])

Finish = Callable[[pa.Array], tuple[pa.Array, np.ndarray | None]]


@dataclass(frozen=True, slots=True)
class Rows:
    """``columns`` of *n* rows; ``unsent`` marks, per column, the values that the server left out; ``refused`` holds for
    each row 0, or 1 + the number of the first column whose value its type cannot hold."""

    columns: list[pa.Array]
    unsent: list[np.ndarray]
    refused: np.ndarray


class RowDecoder:
    """Decodes rows of one table, as long as its columns stay."""

    def __init__(self, columns: Sequence[CopiedColumn]) -> None:
        self.fields = [pa.field(column.info.name, column.info.type) for column in columns]
        self._kinds = np.array([_KINDS.get(column.copied.wire, messages.TEXT) for column in columns], np.int32)
        self._finish = [_finish(column) for column in columns]

    def decode(self, data: np.ndarray, places: np.ndarray) -> Rows:
        """The rows at ``places`` of ``data``; -1 gives a row of nulls."""
        if not (places >= 0).any():
            return self._none(len(places))
        found, refused = messages.rows_at(data, places, self._kinds)
        columns, unsent = [], []
        for number, (field, finish, parts) in enumerate(zip(self.fields, self._finish, found, strict=True)):
            column, bad = _column(field.type, finish, len(places), parts)
            if bad is not None:
                refused = np.where((refused == 0) & bad, number + 1, refused)
            columns.append(column)
            unsent.append(parts[-1])
        return Rows(columns, unsent, refused)

    def _none(self, count: int) -> Rows:
        nothing = np.zeros(count, np.uint8)
        columns = [pa.nulls(count, field.type) for field in self.fields]
        return Rows(columns, [nothing] * len(columns), np.zeros(count, np.int32))


def filled(new: Rows, old: Rows, has_old: np.ndarray) -> Rows:
    """The new rows with what the server left out: from the whole old row where there is one, else as unavailable.

    A column that can hold no mark for that is refused: the row would otherwise be changed in silence.
    """
    if not any(mask.any() for mask in new.unsent):
        return new
    columns, refused = list(new.columns), new.refused
    for number, (column, mask) in enumerate(zip(new.columns, new.unsent, strict=True)):
        if not mask.any():
            continue
        missing = mask.astype(bool)
        known = missing & has_old
        column = pc.if_else(pa.array(known), old.columns[number], column)
        unknown = missing & ~has_old
        if unknown.any() and (pa.types.is_string(column.type) or pa.types.is_binary(column.type)):
            column = pc.if_else(pa.array(unknown), pa.scalar(UNAVAILABLE, pa.string()).cast(column.type), column)
        else:
            refused = np.where((refused == 0) & unknown, number + 1, refused)
        columns[number] = column
    return Rows(columns, new.unsent, refused)


def _column(
    kind: pa.DataType, finish: Finish | None, count: int, parts: Sequence[np.ndarray]
) -> tuple[pa.Array, np.ndarray | None]:
    *data, present, _ = parts
    validity = None if present.all() else pa.py_buffer(np.packbits(present, bitorder="little"))
    if pa.types.is_boolean(kind):
        data = [np.packbits(data[0], bitorder="little")]
    buffers = [validity, *(pa.py_buffer(each) for each in data)]
    if finish is None:
        return pa.Array.from_buffers(kind, count, buffers), None
    return finish(pa.Array.from_buffers(pa.string(), count, buffers))


def _finish(column: CopiedColumn) -> Finish | None:
    """What makes the column's values of its texts; None where the kernel does."""
    if column.copied.wire in _KINDS:
        return None
    kind = column.info.type
    if pa.types.is_floating(kind):
        return lambda texts: (texts.cast(kind), None)
    if pa.types.is_decimal(kind):
        return lambda texts: _decimals(texts, kind)
    if column.info.database_type == "inet":
        return lambda texts: (_with_network(texts), None)
    return None


def _decimals(texts: pa.Array, kind: pa.DataType) -> tuple[pa.Array, np.ndarray | None]:
    none = pc.fill_null(pc.is_in(texts, _NO_NUMBERS), False)
    if not pc.any(none).as_py():
        return texts.cast(kind), None
    return pc.if_else(none, pa.scalar(None, pa.string()), texts).cast(kind), none.to_numpy(zero_copy_only=False)


def _with_network(texts: pa.Array) -> pa.Array:
    """As a cast to text prints an ``inet``: always with the length of its mask."""
    whole = pc.if_else(pc.match_substring(texts, ":"), "/128", "/32")
    return pc.if_else(pc.match_substring(texts, "/"), texts, pc.binary_join_element_wise(texts, whole, ""))
