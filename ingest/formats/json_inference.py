"""The schema of a column of JSON values, found without looking at most of them in Python.

A sample proposes a schema, the decoder tries it on all, and what does not fit is the next sample: values
that are alike cost one round.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats import json_codec
from ingest.formats.inference import type_of_object
from ingest.formats.json_text import NotJson
from ingest.formats.untouched import as_binary
from ingest.formats.widening import MAX_FIELDS, Clash, count_fields, join

_SAMPLE = 256


@dataclass(frozen=True, slots=True)
class Settled:
    """``schema`` fits all rows but ``reasons``'."""

    schema: pa.Schema
    reasons: dict[int, str]


def infer_schema(values: pa.Array) -> pa.Schema:
    """The schema of ``values`` (binary or string): what is no JSON object, or clashes with those before it,
    has no part in it."""
    return settle_schema(as_binary(values, "json")).schema


def settle_schema(values: pa.Array, known: pa.Schema | None = None) -> Settled:
    """The schema of a topic that had ``known`` and gets the binary ``values``: rows are taken in their order, and
    one that clashes with those before it is left out, with its reason. The result only ever widens ``known``.
    """
    schema = known if known is not None else pa.schema([])
    kind: pa.DataType = pa.struct(list(schema))
    final: dict[int, str] = {}
    open_rows = pa.array(range(len(values)), type=pa.int64())
    while True:
        _, reasons = json_codec.decode(values.take(open_rows), kind)
        if not reasons:
            break
        open_rows = open_rows.take(pa.array(list(reasons), type=pa.int64()))
        sample = open_rows.slice(0, _SAMPLE).to_pylist()
        for row in sample:
            kind, reason = _widened(kind, values[row].as_py())
            if reason is not None:
                final[row] = reason
        open_rows = open_rows.filter(pc.invert(pc.is_in(open_rows, pa.array(list(final), type=pa.int64()))))
    return Settled(pa.schema(list(kind), metadata=schema.metadata), final)


def _widened(kind: pa.DataType, value: bytes) -> tuple[pa.DataType, str | None]:
    try:
        found = join(kind, type_of_object(value))
    except (NotJson, Clash) as error:
        return kind, str(error)
    if found.equals(kind):
        # Its type fits and its value does not: an integer that is not exact as the column's double, say.
        _, reasons = json_codec.decode(pa.array([value], type=pa.binary()), kind)
        return kind, reasons.get(0)
    if count_fields(found) > MAX_FIELDS:
        return kind, f"its new columns would make more than {MAX_FIELDS}"
    return found, None
