"""Keys and timestamps of records, by SQL over the columns of their values.

JSON that a source hands over as text stays text: its columns are found by the way, for these expressions only. A
column that an event does not have is null there, and an event that cannot be read has neither key nor time of its
own; whether it can go on is for others to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from ingest.connectors import TIMESTAMP, Records
from ingest.formats import format_named
from ingest.runtime.partitioning import with_key
from ingest.runtime.plan import SourcePlan
from ingest.runtime.transform_chain import Refusal, refusal_of


class RowExpressions:
    """Thread-safe. Raises ``ConfigError`` for an expression that is wrong before a column is known."""

    def __init__(self, source: SourcePlan) -> None:
        self._texts = [text for text in (source.key, source.timestamp) if text is not None]
        self._has_key = source.key is not None
        self._has_timestamp = source.timestamp is not None
        if self._texts:
            from ingest.transforms.sql import Expressions  # brings DataFusion: only where one is asked for
            from ingest.transforms.times import TimeReader

            self._expressions = Expressions(self._texts, "key" if self._has_key else "timestamp")
            self._times = TimeReader()

    def apply(self, records: Records) -> tuple[Records, list[Refusal]]:
        """The records with key and timestamp; rows for which an expression fails are refused."""
        if not self._texts:
            return (records if records.key is None else with_key(records, records.key)), []
        seen, places = _readable(records)
        found = self._expressions.evaluate(seen)
        columns = list(found.columns) if places is None else [column.take(places) for column in found.columns]
        key = columns.pop(0) if self._has_key else records.key
        if self._has_timestamp:
            records = replace(records, timestamp=self._as_times(columns.pop(0)))
        records = with_key(records, key)
        refused = [refusal_of(seen, rejected, "key") for rejected in found.rejected]
        if not refused:
            return records, []
        assert records.rows is not None, "the chain sets them"
        keep = ~np.isin(records.rows.to_numpy(), np.concatenate([refusal.rows.to_numpy() for refusal in refused]))
        return records.filter(pa.array(keep)), refused

    def _as_times(self, column: pa.Array) -> pa.Array:
        """What is no time is null, which means the arrival."""
        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        kind = column.type
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_string(kind):
            return self._times.read(column).cast(TIMESTAMP, safe=False)
        if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            return self._times.read(column.cast(pa.string())).cast(TIMESTAMP, safe=False)
        return pa.nulls(len(column), TIMESTAMP)


def _readable(records: Records) -> tuple[Records, pa.Array | None]:
    """The records with columns, and where each of ``records`` is among them (null: nowhere); None: all in place."""
    if records.format != "json" or pa.types.is_struct(records.value.type):
        return records, None
    from ingest.transforms.found_columns import marked

    decoded = format_named("json").decode(records)
    value = decoded.records.value
    kind = pa.struct(marked(list(value.type)))
    seen = decoded.records.with_value(value.cast(kind))
    return seen, _places(len(records), [rejected.rows for rejected in decoded.rejected])


def _places(count: int, refused: Sequence[pa.Array]) -> pa.Array | None:
    if not refused:
        return None
    bad = np.zeros(count, bool)
    for rows in refused:
        bad[rows.to_numpy()] = True
    return pa.array(np.cumsum(~bad) - 1, mask=bad)
