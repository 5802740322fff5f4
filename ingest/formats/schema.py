"""The schema of a topic: what a change to it means under the pipeline's contract."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from ingest.errors import FormatError
from ingest.formats.casting import cast_to
from ingest.formats.json_inference import infer_schema
from ingest.formats.widening import MAX_FIELDS, Clash, count_fields, join_fields, plain

Contract = Literal["evolve", "freeze", "dead-letter"]
Difference = tuple[str, pa.DataType | None, pa.DataType | None]
"""(path, type in the topic, type that came; None: no such column)"""

__all__ = ["Clash", "Contract", "Merge", "cast_to", "infer_schema", "merge"]


@dataclass(frozen=True, slots=True)
class Merge:
    """``schema`` is what the topic has from now on; ``clashes`` are the columns that it refuses."""

    schema: pa.Schema
    clashes: tuple[Difference, ...] = ()


def merge(old: pa.Schema | None, new: pa.Schema, contract: Contract = "evolve") -> Merge:
    """What ``new`` makes of a topic that holds ``old`` (None: nothing yet, whatever the contract).

    ``evolve`` widens: new columns come last, types grow by the lattice, and only what has no common type
    is a clash. ``freeze`` and ``dead-letter`` leave ``old`` as it is; every difference is a clash, which
    the first answers by stopping and the second by refusing the rows that do not fit. A column that is
    missing from ``new``, or is null throughout, is no difference: its rows are null. A topic grows to
    ``MAX_FIELDS`` columns; more are clashes. Raises ``FormatError`` if two columns have one name.
    """
    _refuse_doubles(new)
    if old is None:
        return Merge(pa.schema([field.with_type(plain(field.type)) for field in new]))
    return _widened(old, new) if contract == "evolve" else Merge(old, tuple(_differences(old, new)))


def _widened(old: pa.Schema, new: pa.Schema) -> Merge:
    fields: list[pa.Field] = []
    clashes: list[Difference] = []
    room = MAX_FIELDS - sum(count_fields(field.type) for field in old)
    for field in old:
        try:
            joined = _joined(field, new)
        except Clash as clash:
            clashes.append((clash.path, clash.old, clash.new))
            joined = field
        grown = count_fields(joined.type) - count_fields(field.type)
        if grown > max(room, 0):
            clashes.append((field.name, field.type, joined.type))
            joined, grown = field, 0
        room -= grown
        fields.append(joined)
    for field in _added(old, new):
        room -= count_fields(field.type)
        if room >= 0:
            fields.append(field.with_type(plain(field.type)).with_nullable(True))
        else:
            clashes.append((field.name, None, field.type))
    return Merge(pa.schema(fields, metadata=old.metadata), tuple(clashes))


def _differences(old: pa.Schema, new: pa.Schema) -> Iterator[Difference]:
    for field in old:
        try:
            joined = _joined(field, new)
        except Clash as clash:
            yield clash.path, clash.old, clash.new
            continue
        if not joined.type.equals(field.type):
            yield field.name, field.type, new.field(field.name).type
    for field in _added(old, new):
        yield field.name, None, field.type


def _joined(field: pa.Field, new: pa.Schema) -> pa.Field:
    index = new.get_field_index(field.name)
    return field.with_nullable(True) if index < 0 else join_fields(field, new.field(index), field.name)


def _added(old: pa.Schema, new: pa.Schema) -> list[pa.Field]:
    return [field for field in new if old.get_field_index(field.name) < 0]


def _refuse_doubles(schema: pa.Schema) -> None:
    if len(set(schema.names)) == len(schema):
        return
    twice = next(name for name in schema.names if schema.names.count(name) > 1)
    raise FormatError(f"two columns have the name {twice!r}", hint="rename one of them", column=twice)
