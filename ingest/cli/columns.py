"""Columns of Arrow as text: each row one JSON object, or a row of cells, with times and numbers as the format
``json`` writes them.

Bytes are text where they are UTF-8; where a column holds others, they stand as base64 under ``<name>_base64``
beside it (inside lists and structs, bytes are base64 always).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ingest.errors import FormatError

if TYPE_CHECKING:
    import pyarrow as pa


def json_lines(batch: pa.RecordBatch) -> list[str]:
    """One JSON object for each row."""
    import pyarrow as pa

    if not batch.num_columns:
        return ["{}"] * batch.num_rows
    columns = _readable(batch)
    return _encoded(pa.StructArray.from_arrays(list(columns.values()), names=list(columns)))


def cells(batch: pa.RecordBatch) -> Iterator[dict[str, str | None]]:
    """For each row a text by column; None for null, JSON for what is nested, ``base64:...`` for bytes that are no
    text."""
    import pyarrow as pa

    texts: dict[str, list[str | None]] = {}
    for name, column in zip(unlike_names(batch.schema.names), batch.columns, strict=True):
        text, *others = (
            [_cell(line) for line in _encoded(pa.StructArray.from_arrays([part], names=[""]))]
            for part in _as_text(name, column).values()
        )
        for other in others:
            text = [f"base64:{code}" if code is not None else shown for shown, code in zip(text, other, strict=True)]
        texts[name] = text
    for row in range(batch.num_rows):
        yield {name: column[row] for name, column in texts.items()}


def unlike_names(names: list[str]) -> list[str]:
    """The names, those that stood before made different: two tables of a join may both have an ``id``."""
    found: list[str] = []
    for name in names:
        number, unlike = 1, name
        while unlike in found or (number > 1 and unlike in names):
            number += 1
            unlike = f"{name}_{number}"
        found.append(unlike)
    return found


def _readable(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    columns: dict[str, pa.Array] = {}
    for name, column in zip(unlike_names(batch.schema.names), batch.columns, strict=True):
        columns |= _as_text(name, column)
    return columns


def _as_text(name: str, column: pa.Array) -> dict[str, pa.Array]:
    import pyarrow as pa
    from pyarrow import types

    if types.is_binary_view(column.type) or types.is_fixed_size_binary(column.type):
        column = column.cast(pa.binary())
    if not (types.is_binary(column.type) or types.is_large_binary(column.type)):
        return {name: column}
    try:
        return {name: column.cast(pa.large_string())}
    except pa.ArrowInvalid:
        values = column.to_pylist()
        text = [_decoded(value) for value in values]
        other = [value if shown is None else None for value, shown in zip(values, text, strict=True)]
        return {name: pa.array(text, pa.large_string()), f"{name}_base64": pa.array(other, pa.large_binary())}


def _decoded(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _encoded(value: pa.StructArray) -> list[str]:
    from ingest.connectors import Records
    from ingest.formats import format_named

    encoded = format_named("json").encode(Records(value=value), max_bytes=1 << 30)
    for rejected in encoded.rejected:
        raise FormatError(f"a row cannot be shown: {rejected.reasons[0]}")
    return [line.decode("utf-8") for line in encoded.records.value.to_pylist()]


def _cell(line: str) -> str | None:
    text = line.removeprefix('{"":').removesuffix("}")
    if text == "null":
        return None
    return str(json.loads(text)) if text.startswith('"') else text
