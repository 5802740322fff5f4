"""Columns to another type, value by value: what does not fit exactly is refused with its row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as t

from ingest.errors import ConfigError
from ingest.transforms.refusals import Refusals
from ingest.transforms.times import TimeReader

_MOST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Conversion:
    """Which columns become what; those that are not there are passed over. ``empty_is_null``: an empty text is
    no value, unless a text is wanted."""

    types: Mapping[str, pa.DataType]
    times: TimeReader
    empty_is_null: bool = True
    setting: str = "types"

    def apply(self, batch: pa.RecordBatch, refusals: Refusals) -> pa.RecordBatch:
        """The batch with those columns converted, null where ``refusals`` got the row.

        Raises ``ConfigError`` where no value is to blame: a list cannot be a number.
        """
        for name, kind in self.types.items():
            index = batch.schema.get_field_index(name)
            if index < 0:
                continue
            column = self._converted(name, batch.column(index), kind, refusals)
            field = batch.schema.field(index).with_type(kind).with_nullable(True)
            batch = batch.set_column(index, field, column)
        return batch

    def _converted(self, name: str, column: pa.Array, kind: pa.DataType, refusals: Refusals) -> pa.Array:
        if column.type == kind:
            return column
        if self.empty_is_null and _is_text(column.type) and not _is_text(kind):
            column = pc.if_else(pc.equal(column, ""), None, column)
        made = self._timestamps(column, kind) if t.is_timestamp(kind) else self._cast(name, column, kind)
        lost = np.flatnonzero(np.asarray(pc.and_(column.is_valid(), made.is_null())))
        if len(lost):
            texts = [_shown(value) for value in column.take(pa.array(lost)).to_pylist()]
            refusals.add(lost, [f"{name}: {text} is no {_called(kind)}" for text in texts])
        return made

    def _timestamps(self, column: pa.Array, kind: pa.DataType) -> pa.Array:
        return _each(self.times.read(column), kind)

    def _cast(self, name: str, column: pa.Array, kind: pa.DataType) -> pa.Array:
        if t.is_integer(kind) and _is_text(column.type):
            # Arrow reads 0x10 as a number, and refuses +1: both are texts that people write as neither.
            decimal = pc.match_substring_regex(column, r"\A[+-]?[0-9]+\z")
            column = pc.if_else(decimal, pc.utf8_ltrim(column, "+"), None)
        try:
            return _each(column, kind)
        except pa.ArrowNotImplementedError as error:
            message = f"{self.setting}: {name} is {column.type} and cannot become {_called(kind)}"
            raise ConfigError(message, setting=self.setting) from error


def _each(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Casts; halves what fails until what cannot be cast stands alone, and is null."""
    try:
        return column.cast(kind)
    except pa.ArrowNotImplementedError:
        raise
    except pa.ArrowInvalid:
        if len(column) == 1:
            return pa.nulls(1, kind)
    half = len(column) // 2
    return pa.concat_arrays([_each(column.slice(0, half), kind), _each(column.slice(half), kind)])


def _is_text(kind: pa.DataType) -> bool:
    return bool(t.is_string(kind) or t.is_large_string(kind))


def _called(kind: pa.DataType) -> str:
    return "timestamp" if t.is_timestamp(kind) else str(kind)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"
