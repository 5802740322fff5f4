"""The keys of records as columns: JSON objects, as Debezium writes them, or the bare value of one column."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats.casting import cast_each
from ingest.formats.json_codec import decode


def key_names(keys: pa.Array | None) -> list[str]:
    """The names in the first key that is an object; empty if there is none."""
    if keys is None:
        return []
    first = next((key.as_py() for key in keys if key.is_valid), None)
    try:
        found = json.loads(first) if first is not None else None
    except ValueError:
        return []
    if isinstance(found, dict):
        found = found.get("payload", found)
    return list(found) if isinstance(found, dict) else []


def key_columns(
    keys: pa.Array, names: Sequence[str], types: Sequence[pa.DataType]
) -> tuple[pa.StructArray, np.ndarray]:
    """A struct with those columns, and a mask of the keys that could not be read, or have none of them."""
    kind = pa.struct(list(zip(names, types, strict=True)))
    values = keys.cast(pa.binary())
    objects, reasons = decode(values, kind)
    bad = np.zeros(len(keys), bool)
    bad[list(reasons)] = True
    if bad.any() and len(names) == 1:
        bare, unfit = cast_each(values.cast(pa.string(), safe=False), types[0])
        unread = pa.array(bad)
        filled = pc.if_else(unread, bare, pc.struct_field(_without_nulls(objects, kind), names[0]))
        return pa.StructArray.from_arrays([filled], names=list(names)), bad & unfit
    return _without_nulls(objects, kind), bad | np.asarray(keys.is_null())


def _without_nulls(objects: pa.StructArray, kind: pa.StructType) -> pa.StructArray:
    return pa.StructArray.from_arrays(objects.flatten(), fields=list(kind))
