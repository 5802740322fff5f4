"""Dead letters as they are written: the record's own bytes, and headers that say why and from where.

ingest.error.stage .class .reason .pipeline
ingest.error.source .file .position                a source's
ingest.error.sink .topic .partition .offset .row   a sink's
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.connectors import HEADERS, DeadLetter, DeadRecords, Records
from ingest.formats import format_named
from ingest.runtime.transform_chain import Refusal

PREFIX = "ingest.error."
_JSON_BYTES = 1 << 30

Headers = dict[str, str]


def of_refusal(entered: Records, refusal: Refusal, origin: Headers) -> Records:
    """The dead letters of rows that a step between source and hub refused; ``entered`` is what was polled."""
    records = entered.take(refusal.rows)
    return _source_letters(records, refusal.reasons, origin | {"stage": refusal.stage, "class": refusal.error})


def of_dead_records(dead: DeadRecords, origin: Headers) -> Records:
    """The dead letters of what the source itself refused."""
    return _source_letters(dead.records, dead.reasons, origin | {"stage": dead.stage, "class": dead.error})


def of_letters(records: Records, letters: Sequence[DeadLetter], origin: Headers) -> Records:
    """The dead letters of a sink: ``records`` are those that ``letters`` name, in the same order."""
    per_row = {
        "stage": [letter.stage for letter in letters],
        "class": [letter.error for letter in letters],
        "reason": [letter.reason for letter in letters],
        "partition": [str(letter.partition) for letter in letters],
        "offset": [str(letter.offset) for letter in letters],
        "row": [str(letter.row) for letter in letters],
        "topic": [letter.topic for letter in letters],
    }
    return _letters(records, origin, per_row)


def where(records: Records, row: int) -> str:
    """Where a polled record came from, in words, for the error that stops a task, which is named beside it."""
    place = records.origin.name or "a record"
    return place if records.positions is None else f"{place} at {records.positions[row]}"


def _source_letters(records: Records, reasons: Sequence[str], common: Headers) -> Records:
    if records.origin.name:
        common = common | {"file": records.origin.name}
    per_row: dict[str, Sequence[str] | pa.Array] = {"reason": reasons}
    if records.positions is not None:
        per_row["position"] = pc.cast(records.positions, pa.string())
    return _letters(records, common, per_row)


def _letters(records: Records, common: Headers, per_row: Mapping[str, Sequence[str] | pa.Array]) -> Records:
    columns = {PREFIX + name: pa.array(column, pa.string()).cast(pa.binary()) for name, column in per_row.items()}
    fixed = tuple((PREFIX + name, value.encode()) for name, value in common.items())
    return replace(
        records,
        value=_as_bytes(records.value),
        headers=_with_headers(records.headers, columns, len(records)),
        common_headers=(*records.common_headers, *fixed),
        rows=None,
        offsets=None,
        partition=None,
        positions=None,
    )


def _as_bytes(value: pa.Array) -> pa.Array:
    """Bytes as they were, text as UTF-8, a row of columns as a JSON object."""
    if pa.types.is_struct(value.type):
        encoded = format_named("json").encode(Records(value=value), max_bytes=_JSON_BYTES).records.value
        if len(encoded) == len(value):
            return encoded.cast(pa.binary())
        return pa.array([json.dumps(row, default=str).encode() for row in value.to_pylist()], pa.binary())
    return value.cast(pa.large_binary() if pa.types.is_large_string(value.type) else pa.binary())


def _with_headers(own: pa.Array | None, added: dict[str, pa.Array], count: int) -> pa.Array:
    """Each record's own headers, then the added ones, without a loop over records."""
    width = len(added)
    # added[k] of row r stands at k * count + r
    names = pa.array(np.repeat(np.array(list(added), dtype=object), count), pa.string())
    values = pa.concat_arrays(list(added.values()))
    extra = pa.StructArray.from_arrays([names, values], fields=list(HEADERS.value_type))
    lengths = np.zeros(count, dtype=np.int64)
    base = 0
    if own is not None:
        lengths = pc.fill_null(pc.list_value_length(own), 0).to_numpy(zero_copy_only=False).astype(np.int64)
        flat = own.flatten()
        base = len(flat)
        extra = pa.concat_arrays([flat.cast(HEADERS.value_type), extra])
    offsets = np.concatenate([[0], np.cumsum(lengths + width)])
    row = np.repeat(np.arange(count), lengths + width)
    place = np.arange(offsets[-1]) - offsets[row]
    own_starts = np.concatenate([[0], np.cumsum(lengths)])[:-1]
    is_own = place < lengths[row]
    source = np.where(is_own, own_starts[row] + place, base + (place - lengths[row]) * count + row)
    items = extra.take(pa.array(source))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), items, type=HEADERS)
