"""The value of records as named columns, and back: what ``rename``, ``drop``, ``cast`` and ``mask`` share."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from ingest.config import nearest
from ingest.connectors import Records
from ingest.errors import ConfigError
from ingest.transforms.found_columns import are_found


def with_columns(records: Records, columns: pa.RecordBatch) -> Records:
    """The records with ``columns`` as their value; a tombstone stays one."""
    tombstones = pc.is_null(records.value) if records.value.null_count else None
    if not columns.num_columns:
        empty = pa.array([{}], pa.struct([])).take(pa.array([0] * len(records), pa.int64()))
        return records.with_value(empty if tombstones is None else pc.if_else(tombstones, None, empty))
    fields = list(columns.schema)
    return records.with_value(pa.StructArray.from_arrays(columns.columns, fields=fields, mask=tombstones))


def need_columns(records: Records, names: Iterable[str], setting: str) -> None:
    """Raises ``ConfigError`` for a name that the value does not have, unless its columns were found in the
    rows themselves: then this batch merely lacks it."""
    known = records.columns().schema.names
    for name in names:
        if name not in known and not are_found(records.value.type):
            meant = nearest(name, known)
            listed = f"the columns are {', '.join(known)}"
            hint = f"did you mean {meant}? {listed}" if meant else listed
            raise ConfigError(f"{setting}: there is no column {name}", hint=hint, setting=setting)
