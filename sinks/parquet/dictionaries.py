"""Which columns of a file get a dictionary: those whose values repeat."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from pyarrow import types as t

_SAMPLED_ROWS = 4096
_FEWEST_VALUES = 256
_MOST_DISTINCT = 0.95
"""Of a sample. Beyond, nearly each value would be hashed, put into the dictionary and, once that is full, written
plainly after all: a third of a file's CPU, for a larger file."""


def columns_with_dictionaries(rows: pa.Table) -> list[str]:
    """The paths of leaves as Parquet has them, by the rows that come first in the file. Nested columns always have."""
    step = max(1, len(rows) // _SAMPLED_ROWS)
    places = pa.array(np.arange(0, len(rows), step))
    return [
        path
        for field, column in zip(rows.schema, rows.columns, strict=True)
        if not _is_distinct(column, places)
        for path in _leaves(field.name, field.type)
    ]


def _is_distinct(column: pa.ChunkedArray, places: pa.Array) -> bool:
    """Whether hardly a value comes twice."""
    if t.is_nested(column.type) or t.is_dictionary(column.type) or isinstance(column.type, pa.BaseExtensionType):
        return False
    sample = column.take(places).drop_null()
    return len(sample) >= _FEWEST_VALUES and len(sample.unique()) > _MOST_DISTINCT * len(sample)


def _leaves(path: str, kind: pa.DataType) -> Iterator[str]:
    if t.is_struct(kind):
        for field in kind:
            yield from _leaves(f"{path}.{field.name}", field.type)
    elif t.is_map(kind):
        yield from _leaves(f"{path}.key_value.key", kind.key_type)
        yield from _leaves(f"{path}.key_value.value", kind.item_type)
    elif t.is_nested(kind):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    else:
        yield path
