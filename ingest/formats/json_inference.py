"""The schema of a column of JSON values, found without looking at most of them in Python.

A sample proposes a schema, the decoder tries it on the rest, and what does not fit is the next sample: values
that are alike cost one round.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ingest.formats import json_codec
from ingest.formats.inference import type_of_object
from ingest.formats.json_text import NotJson
from ingest.formats.untouched import as_binary
from ingest.formats.widening import MAX_FIELDS, Clash, count_fields, join

_SAMPLE = 256


def infer_schema(values: pa.Array, known: pa.Schema | None = None) -> pa.Schema:
    """The schema of ``values`` (binary or string), or what ``known`` becomes with them.

    Values are taken in their order; what is no JSON object, or clashes with those before it, has no part in it,
    nor has what would make more than ``MAX_FIELDS`` columns.
    """
    values = as_binary(values, "json")
    kind: pa.DataType = pa.struct(list(known or []))
    open_rows = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
    size = _SAMPLE
    while len(open_rows):
        before = kind
        for row in open_rows[:size].tolist():
            kind = _widened(kind, values[row].as_py())
        open_rows = open_rows[size:]
        size *= 2
        if len(open_rows) and not kind.equals(before):
            open_rows = open_rows[json_codec.misfits(values.take(pa.array(open_rows)), kind)]
    return pa.schema(list(kind), metadata=known.metadata if known is not None else None)


def explained(value: bytes, kind: pa.StructType, reason: str) -> str:
    """Why the topic has no such column: its own schema does not grow for a value that clashes, or is too much."""
    try:
        found = join(kind, type_of_object(value, kind))
    except (NotJson, Clash) as error:
        return str(error)
    return reason if count_fields(found) <= MAX_FIELDS else f"{reason}, and may not have more than {MAX_FIELDS}"


def _widened(kind: pa.DataType, value: bytes) -> pa.DataType:
    try:
        found = join(kind, type_of_object(value, kind))
    except (NotJson, Clash):
        return kind
    return kind if count_fields(found) > max(MAX_FIELDS, count_fields(kind)) else found
