"""The folder of each row, by its values: a code per row, a text per distinct value, no step per row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as t

from ingest.connectors import Records
from ingest.errors import ConfigError
from ingest.sinks.lake import hive
from ingest.sinks.lake.partition_by import PartitionField

_FORMS = {"year": "%Y", "month": "%Y-%m", "day": "%Y-%m-%d", "hour": "%Y-%m-%dT%H"}
_CUT_TYPES = {"year": pa.int32(), "month": pa.string(), "day": pa.date32(), "hour": pa.string()}
OF_RECORD = ("timestamp", "topic", "partition")
"""What a partition may be made of beside the columns of the value, which win."""


@dataclass(frozen=True, slots=True)
class Folders:
    """``codes[row]`` is the index in ``names`` of the folder of a row; -1 where it has none that could be made."""

    codes: np.ndarray
    names: list[str]
    refused: str = ""


def folders(batch: pa.RecordBatch, records: Records, fields: Sequence[PartitionField]) -> Folders:
    """``batch`` are the columns of ``records``, row by row. With no fields all rows are in the folder ""."""
    codes = np.zeros(batch.num_rows, dtype=np.int64)
    names = [""]
    refused = ""
    for field in fields:
        inner, components = _components(_values(batch, records, field), field)
        codes = codes * len(components) + inner
        names, codes = _distinct(names, components, codes)
    too_long = [max(map(_length, name.split("/"))) > hive.MAX_COMPONENT_BYTES for name in names]
    if any(too_long):
        refused = f"a partition value makes a folder name longer than {hive.MAX_COMPONENT_BYTES} bytes"
        codes = np.where(np.array(too_long)[codes], -1, codes)
    return Folders(codes, names, refused)


def value_types(fields: Sequence[PartitionField], schema: pa.Schema) -> dict[str, pa.DataType]:
    """The types of the folder keys' values, by key: what readers cast the texts to."""
    found: dict[str, pa.DataType] = {}
    for field in fields:
        if field.cut is not None:
            kind = _CUT_TYPES[field.cut]
        elif field.column in schema.names:
            kind = schema.field(field.column).type
        else:
            kind = pa.int32() if field.column == "partition" else pa.string()
        found[field.key] = kind
    return found


def _distinct(names: list[str], components: list[str], codes: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Only the combinations that occur, so that codes stay small however many fields there are."""
    present, inverse = np.unique(codes, return_inverse=True)
    pairs = (divmod(int(code), len(components)) for code in present)
    joined = [f"{names[outer]}/{components[inner]}".lstrip("/") for outer, inner in pairs]
    return joined, inverse.reshape(-1)


def _values(batch: pa.RecordBatch, records: Records, field: PartitionField) -> pa.Array:
    if field.column in batch.schema.names:
        return batch.column(field.column)
    if field.column not in OF_RECORD:
        return pa.nulls(batch.num_rows, pa.timestamp("ms") if field.cut else pa.string())
    if field.column == "timestamp":
        return records.timestamp if records.timestamp is not None else pa.nulls(batch.num_rows, pa.timestamp("ms"))
    value = pa.scalar(records.topic if field.column == "topic" else str(records.partition or 0))
    return pa.DictionaryArray.from_arrays(np.zeros(batch.num_rows, np.int32), pa.array([value.as_py()]))


def _components(values: pa.Array, field: PartitionField) -> tuple[np.ndarray, list[str]]:
    """A code per row, and the folder name of each code; null is the last."""
    encoded = _texts(values, field)
    if not isinstance(encoded, pa.DictionaryArray):
        encoded = encoded.dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    codes = encoded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, [hive.component(field.key, text) for text in texts] + [hive.component(field.key, None)]


def _texts(values: pa.Array, field: PartitionField) -> pa.Array:
    """The values as texts, made once per distinct value where that is cheap to know."""
    kind = values.type
    if field.cut is not None:
        return _cut(values, field)
    if t.is_dictionary(kind) or t.is_string(kind):
        return values
    if t.is_large_string(kind) or t.is_integer(kind) or t.is_date32(kind) or t.is_decimal(kind):
        return _of_distinct(values, lambda distinct: distinct.cast(pa.string()))
    if t.is_boolean(kind):
        return values.cast(pa.string())
    if t.is_floating(kind):
        return _of_distinct(values, lambda distinct: pa.array([repr(value) for value in distinct.to_pylist()]))
    if t.is_timestamp(kind) or t.is_time(kind) or t.is_date64(kind):
        return _of_distinct(values, lambda distinct: distinct.cast(pa.string()))
    if t.is_null(kind):
        return values.cast(pa.string())
    raise ConfigError(
        f"partition_by cannot use the column {field.column}: it is a {kind}",
        hint="partition by a text, a number, a date or a time",
        setting="partition_by",
    )


def _cut(values: pa.Array, field: PartitionField) -> pa.Array:
    kind = values.type
    if t.is_null(kind):
        return values.cast(pa.string())
    if not (t.is_timestamp(kind) or t.is_date(kind)):
        raise ConfigError(
            f"partition_by cannot cut the column {field.column} to a {field.cut}: it is a {kind}, and no time",
            hint=f"cast it to a timestamp before the sink, or cut the record's time: {field.cut}(timestamp)",
            setting="partition_by",
        )
    # A time of zone X is cut in UTC: folders must not depend on where a row came from.
    times = values.cast(pa.timestamp(kind.unit if t.is_timestamp(kind) else "ms"))
    floors = pc.floor_temporal(times, unit=field.cut)
    return _of_distinct(floors, lambda distinct: pc.strftime(distinct, format=_FORMS[str(field.cut)], locale="C"))


def _of_distinct(values: pa.Array, text: object) -> pa.DictionaryArray:
    encoded = values.dictionary_encode()
    distinct = text(encoded.dictionary)  # type: ignore[operator]
    return pa.DictionaryArray.from_arrays(encoded.indices, distinct)


def _length(component: str) -> int:
    return len(component.encode())
