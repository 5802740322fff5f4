"""Rows as JSON objects, for sinks that hand them to others one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from ingest.connectors import DeadLetter, Records, Rejected
from ingest.errors import RecordRefused
from ingest.formats import format_named

_ROW_BYTES = 1 << 30


def json_rows(records: Records, *, origin: bool) -> tuple[Records, list[Rejected]]:
    """The records that can be written, their values JSON objects (bytes); and those that cannot.

    A value without columns is the column ``value``. With ``origin`` the columns `_topic`, `_partition`, `_offset` and
    `_timestamp` are added, unless the value has one of that name.
    """
    batch = records.columns()
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    if origin:
        columns |= {name: column for name, column in _origin(records).items() if name not in columns}
    value = (
        pa.StructArray.from_arrays(list(columns.values()), names=list(columns))
        if columns
        else pa.array([{}] * len(records), pa.struct([]))
    )
    encoded = format_named("json").encode(replace(records, value=value), max_bytes=_ROW_BYTES)
    return encoded.records, list(encoded.rejected)


def dead_letters(records: Records, rejected: Rejected, *, sink: str, tolerate: bool) -> list[DeadLetter]:
    """The letters of refused rows; raises ``RecordRefused`` where none is tolerated."""
    rows = rejected.rows.to_numpy()
    offsets = np.zeros(len(records), np.int64) if records.offsets is None else records.offsets.to_numpy()
    inside = np.zeros(len(records), np.int64) if records.rows is None else records.rows.to_numpy()
    if len(rows) and not tolerate:
        raise RecordRefused(
            f"{records.topic}-{records.partition} offset {offsets[rows[0]]}: {rejected.reasons[0]}",
            hint="set errors.tolerance to dead-letter to keep such records apart and go on",
            sink=sink,
        )
    place = (records.topic, records.partition or 0)
    return [
        DeadLetter(*place, int(offsets[row]), int(inside[row]), "sink", rejected.error, reason)
        for row, reason in zip(rows, rejected.reasons, strict=True)
    ]


def _origin(records: Records) -> dict[str, pa.Array]:
    first = pa.array(np.zeros(len(records), np.int64))
    found: dict[str, pa.Array | None] = {
        "_topic": pa.array([records.topic]).take(first),
        "_partition": pa.array([records.partition], pa.int32()).take(first),
        "_offset": records.offsets,
        "_timestamp": records.timestamp,
    }
    return {name: column for name, column in found.items() if column is not None}
