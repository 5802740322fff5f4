"""Parses lines with given settings; what the tests of each format share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from ingest.connectors import Origin, Records, State
from ingest.transforms.parse import Parse


@dataclass(frozen=True, slots=True)
class Outcome:
    """Rows that went on, reasons by line, the timestamps of the records, the type of the last batch."""

    rows: list[Any]
    reasons: dict[int, str]
    timestamps: list[datetime | None]
    kind: pa.DataType | None
    state: State | None


def parse(lines: list[Any], state: State | None = None, modified_ms: int | None = None, **settings: Any) -> Outcome:
    value = pa.array(lines) if lines else pa.array([], pa.string())
    records = Records(value=value, origin=Origin("test", "a.log", modified_ms))
    result = Parse(Parse.Settings(**settings)).apply(records, state or {})
    stamps = [each.timestamp for each in result.records if each.timestamp is not None]
    return Outcome(
        [row for each in result.records for row in each.value.to_pylist()],
        {row.as_py(): why for each in result.rejected for row, why in zip(each.rows, each.reasons, strict=True)},
        [stamp for column in stamps for stamp in column.to_pylist()],
        result.records[-1].value.type if result.records else None,
        result.state,
    )
