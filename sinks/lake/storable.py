"""What of a column the format of the files can hold.

A type that holds nothing (null, an object without fields, a list of such) is left out until a value gives it a
type: nothing is lost, for there is no value. A type for which the format has no form (for Parquet: unions,
calendar intervals) is left out too, and rows with a value in it are refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
from pyarrow import types as t

from ingest.formats.widening import is_list, plain
from ingest.sinks.lake.file_format import FileFormat

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Storable:
    """``columns`` are those to be kept, as indices; ``refused`` maps the index of a column that cannot be
    written to its reason; ``pruned`` are the types of kept columns that lose something inside, by index."""

    columns: tuple[int, ...]
    refused: dict[int, str]
    pruned: dict[int, pa.DataType]

    def kept(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The columns that are kept, without what holds nothing."""
        if len(self.columns) == batch.num_columns and not self.pruned:
            return batch
        arrays, fields = [], []
        for index in self.columns:
            array, field = batch.column(index), batch.schema.field(index)
            if index in self.pruned:
                array = _prune(array, self.pruned[index])
                field = field.with_type(array.type)
            arrays.append(array)
            fields.append(field)
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def storable(schema: pa.Schema, file_format: FileFormat) -> Storable:
    """Decides once for all batches of a schema."""
    columns: list[int] = []
    refused: dict[int, str] = {}
    pruned: dict[int, pa.DataType] = {}
    for index, field in enumerate(schema):
        kind = plain(field.type)
        problem = _no_form(kind, file_format)
        if problem is not None:
            refused[index] = f"{field.name}: {file_format.name} has no form for the type {problem}"
            continue
        slim = _slim(kind)
        if slim is None:
            continue
        columns.append(index)
        if not slim.equals(kind):
            pruned[index] = slim
    return Storable(tuple(columns), refused, pruned)


def repeated_name(kind: pa.DataType) -> str | None:
    """A name that stands twice in one object, at any depth; None if there is none."""
    if t.is_struct(kind):
        names = [field.name for field in kind]
        twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
        return twice if twice is not None else _first(repeated_name(field.type) for field in kind)
    if t.is_map(kind):
        return _first(map(repeated_name, (kind.key_type, kind.item_type)))
    return repeated_name(kind.value_type) if is_list(kind) else None


def _no_form(kind: pa.DataType, file_format: FileFormat) -> pa.DataType | None:
    """The type inside ``kind`` that cannot be written; None if all can."""
    if t.is_struct(kind):
        return _first(_no_form(field.type, file_format) for field in kind)
    if t.is_map(kind):
        items = kind.item_type
        return _no_form(kind.key_type, file_format) or (kind if _slim(items) is None else _no_form(items, file_format))
    if is_list(kind):
        return _no_form(kind.value_type, file_format)
    return None if file_format.holds(kind) else kind


def _slim(kind: pa.DataType) -> pa.DataType | None:
    """The type without what holds nothing; None if nothing stays."""
    if t.is_null(kind):
        return None
    if t.is_struct(kind):
        fields = [(field, _slim(field.type)) for field in kind]
        kept = [field.with_type(slim) for field, slim in fields if slim is not None]
        return pa.struct(kept) if kept else None
    if not is_list(kind):
        return kind
    element = _slim(kind.value_type)
    if element is None or element.equals(kind.value_type):
        return kind if element is not None else None
    made = pa.large_list if t.is_large_list(kind) else pa.list_
    return made(kind.value_field.with_type(element))


def _prune(array: pa.Array, slim: pa.DataType) -> pa.Array:
    if array.type.equals(slim):
        return array
    if t.is_struct(slim):
        children = dict(zip((field.name for field in array.type), array.flatten(), strict=True))
        columns = [_prune(children[field.name], field.type) for field in slim]
        nulls = array.is_null() if array.null_count else None
        return pa.StructArray.from_arrays(columns, fields=list(slim), mask=nulls)
    if is_list(slim):
        lengths = array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        ends = np.concatenate([[0], np.cumsum(lengths)])
        made, width = (pa.LargeListArray, np.int64) if t.is_large_list(slim) else (pa.ListArray, np.int32)
        nulls = array.is_null() if array.null_count else None
        values = _prune(array.flatten(), slim.value_type)
        return made.from_arrays(pa.array(ends.astype(width)), values, type=slim, mask=nulls)
    return array


def _first(found: Iterable[_T | None]) -> _T | None:
    return next((item for item in found if item is not None), None)
