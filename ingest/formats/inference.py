"""The type that one JSON object has.

Whole numbers are ``int64`` (decimals where they are larger), other numbers ``double``, text stays ``string``
whatever it looks like. What is null throughout has the type null until a value shows more.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pyarrow import types as t

from ingest.formats.json_text import MAX_DEPTH, Fraction, NotJson, kind_of, parse_object
from ingest.formats.json_twin import fits
from ingest.formats.widening import below, is_list, join


def type_of_object(value: bytes, known: pa.StructType) -> pa.StructType:
    """The struct type of one JSON object; a part that fits the type which ``known`` has for it has that type
    (a text may be a timestamp there). Raises ``NotJson``, or ``Clash`` for a list of unlike elements."""
    return _type_of(parse_object(value), "", MAX_DEPTH, known)


def _type_of(value: Any, path: str, depth: int, known: pa.DataType) -> pa.DataType:
    if depth < 0:
        raise NotJson(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return _type_of_dict(value, path, depth, known if t.is_struct(known) else pa.struct([]))
    if t.is_map(known) and fits(value, known):
        return known
    if isinstance(value, list):
        before = known.value_type if is_list(known) else pa.null()
        element: pa.DataType = pa.null()
        for item in value:
            element = join(element, _type_of(item, f"{path}[]", depth - 1, before), f"{path}[]")
        return pa.list_(element)
    if value is not None and not t.is_null(known) and not t.is_nested(known) and fits(value, known):
        return known
    return _type_of_scalar(value)


def _type_of_dict(value: dict[str, Any], path: str, depth: int, known: pa.StructType) -> pa.StructType:
    fields = []
    for name, item in value.items():
        index = known.get_field_index(name)
        before = known.field(index).type if index >= 0 else pa.null()
        fields.append((name, _type_of(item, below(path, name), depth - 1, before)))
    return pa.struct(fields)


def _type_of_scalar(value: Any) -> pa.DataType:
    if value is None:
        return pa.null()
    if isinstance(value, bool):
        return pa.bool_()
    if isinstance(value, Fraction):
        if float(value) in (float("inf"), float("-inf")):
            raise NotJson(f"{kind_of(value)} is beyond a double")
        return pa.float64()
    if isinstance(value, int):
        return _type_of_whole(value)
    return pa.string()


def _type_of_whole(value: int) -> pa.DataType:
    if -(2**63) <= value < 2**63:
        return pa.int64()
    if 0 <= value < 2**64:
        return pa.decimal128(20, 0)
    if abs(value) < 10**38:
        return pa.decimal128(38, 0)
    raise NotJson(f"{kind_of(value)} has more than 38 digits")
