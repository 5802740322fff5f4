"""The files of text or Avro that ``ingest import`` has written, read back in the types of the source.

They are read by the source ``files``, not by what wrote them, so that a mistake of either shows.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as t

from ingest.cli.export_files import ExportFiles, files_settings
from ingest.cli.import_options import Asked
from ingest.cli.saved_pipeline import character
from ingest.errors import ConnectorError, UsageError
from ingest.formats.casting import cast_each
from ingest.formats.row_digests import Checksum


def of_files(target: str, asked: Asked, schema: pa.Schema) -> tuple[Checksum, int]:
    """Of the rows below ``target``; and how many records there are no rows of this schema."""
    found, unread = Checksum(), 0
    try:
        files = ExportFiles(target)
    except (UsageError, ConnectorError):  # nothing is there, as of an empty table
        return found, unread
    for piece in files.pieces(files_settings(_source(target, asked, schema.names))):
        unread += len(piece.bad)
        if len(piece.value):
            rows, bad = _as_read(piece.value.flatten(), schema)
            found.add(rows)
            unread += bad
    return found, unread


def _source(target: str, asked: Asked, names: Sequence[str]) -> dict[str, Any]:
    if asked.form == "avro":
        return {"url": target, "format": "avro"}
    text = {
        "columns": list(names),
        "fields_terminated_by": character(asked.fields_terminated_by),
        "escaped_by": character(asked.escaped_by) if asked.escaped_by else None,
        "null_values": [asked.null_string],
    }
    return {"url": target, "format": "delimited", "delimited": text}


def _as_read(columns: Sequence[pa.Array], schema: pa.Schema) -> tuple[pa.RecordBatch, int]:
    """Without the rows that have a value of another type, and their number. Columns go by their order: Avro does not
    take every name."""
    if len(columns) != len(schema):
        return pa.RecordBatch.from_pylist([], schema), len(columns[0]) if columns else 0
    bad = np.zeros(len(columns[0]), bool)
    cast = []
    for column, field in zip(columns, schema, strict=True):
        array, wrong = _meant(column, field.type)
        cast.append(array)
        bad |= wrong
    rows = pa.RecordBatch.from_arrays(cast, schema=schema)
    return (rows.filter(pa.array(~bad)), int(bad.sum())) if bad.any() else (rows, 0)


def _meant(column: pa.Array, kind: pa.DataType) -> tuple[pa.Array, np.ndarray]:
    if column.null_count == len(column):
        return pa.nulls(len(column), kind), np.zeros(len(column), bool)
    if column.type.equals(kind):
        return column, np.zeros(len(column), bool)
    if t.is_string(column.type):
        for is_kind, read in _OF_TEXT:
            if is_kind(kind):
                return read(column, kind)
    return cast_each(column, kind)


def _bytes(column: pa.Array, kind: pa.DataType) -> tuple[pa.Array, np.ndarray]:
    """Of base64."""
    bad = np.zeros(len(column), bool)
    values: list[bytes | None] = []
    for place, text in enumerate(column.to_pylist()):
        try:
            values.append(None if text is None else binascii.a2b_base64(text.encode(), strict_mode=True))
        except ValueError:
            values.append(None)
            bad[place] = True
    return pa.array(values, kind), bad


def _moment(column: pa.Array, kind: pa.DataType) -> tuple[pa.Array, np.ndarray]:
    """In UTC, where the type has a zone: the text does not tell it."""
    array, bad = cast_each(column, pa.timestamp(kind.unit))
    return (pc.assume_timezone(array, kind.tz) if kind.tz else array), bad


def _clock(column: pa.Array, kind: pa.DataType) -> tuple[pa.Array, np.ndarray]:
    """By way of a moment of some day: Arrow reads no time of day."""
    of_a_day = pc.binary_join_element_wise(pa.scalar("1970-01-01"), column, pa.scalar(" "))
    array, bad = cast_each(of_a_day, pa.timestamp("us"))
    return array.cast(kind), bad


_OF_TEXT: tuple[
    tuple[Callable[[pa.DataType], bool], Callable[[pa.Array, pa.DataType], tuple[pa.Array, np.ndarray]]], ...
] = (
    (t.is_binary, _bytes),
    (t.is_timestamp, _moment),
    (t.is_time, _clock),
)
