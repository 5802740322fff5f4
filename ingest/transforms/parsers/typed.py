"""Texts that a parser found, as typed columns: the settings ``types``, ``timestamp``, ``time_format``, ``timezone``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from ingest.connectors import Records, Transformed
from ingest.formats.type_names import type_named
from ingest.transforms.conversion import Conversion
from ingest.transforms.parsers.parser import parsed
from ingest.transforms.refusals import Refusals
from ingest.transforms.times import TimeReader


class TypedColumns:
    """What follows after a parser has cut its lines into named texts."""

    def __init__(
        self,
        types: Mapping[str, str] | None = None,
        timestamp: str | None = None,
        time_format: str | None = None,
        timezone: str | None = None,
    ) -> None:
        """``timestamp`` names the column that becomes the record's; unless set, the first of ``types`` that is
        one does. Raises ``ConfigError``."""
        kinds = {name: type_named(kind) for name, kind in (types or {}).items()}
        if timestamp is not None:
            kinds.setdefault(timestamp, pa.timestamp("us", tz="UTC"))
        stamps = [name for name, kind in kinds.items() if pa.types.is_timestamp(kind)]
        self.timestamp = timestamp or (stamps[0] if stamps else None)
        self.kinds = kinds
        self.times = TimeReader(time_format, timezone)

    def finish(
        self, records: Records, texts: pa.RecordBatch, refusals: Refusals, *, no_records: np.ndarray | None = None
    ) -> Transformed:
        """Converts, refuses rows whose values do not fit, and sets the record's timestamp."""
        made = Conversion(self.kinds, self.times).apply(texts, refusals)
        stamp = None
        if self.timestamp in made.schema.names and pa.types.is_timestamp(made.schema.field(self.timestamp).type):
            stamp = made.column(self.timestamp)
        return parsed(records, made, refusals, timestamp=stamp, no_records=no_records)
