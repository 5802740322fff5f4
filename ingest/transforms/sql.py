"""SQL expressions over the columns of a batch, by DataFusion (docs/decisions/sql-in-transforms.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.config import nearest
from ingest.connectors import TIMESTAMP, Records, Rejected
from ingest.errors import ConfigError, RecordRefused
from ingest.transforms.found_columns import are_found
from ingest.transforms.sql_check import check, reason, session
from ingest.transforms.sql_rows import columns_of, is_failure, row_by_row

ERROR = "ExpressionFailed"
_RECORD_COLUMNS = ("timestamp", "topic", "partition", "offset")


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One array per expression, as long as the batch; null in the rows that are ``rejected``."""

    columns: Sequence[pa.Array]
    rejected: Sequence[Rejected] = ()

    @property
    def column(self) -> pa.Array:
        """The first, where there is but one."""
        return self.columns[0]


class Expressions:
    """Several expressions, each giving one value per row; thread-safe.

    They see the columns of the value, and ``timestamp``, ``topic``, ``partition`` and ``offset`` of the
    record where the value has no column of that name. Names are taken as they are written, capitals
    included; a name with other characters than letters, digits and ``_`` stands in double quotes.
    """

    def __init__(self, expressions: Sequence[str], setting: str) -> None:
        """Raises ``ConfigError``, which blames ``setting``, for what is wrong before a column is known."""
        self._checked = [check(sql, setting) for sql in expressions]
        self._setting = setting
        self._wanted = sorted(set().union(*(one.columns for one in self._checked)))
        self._planned: tuple[pa.Schema, list[Any]] | None = None

    @property
    def names(self) -> list[str | None]:
        """The alias or plain column name of each; None where it has neither."""
        return [one.name for one in self._checked]

    def evaluate(self, records: Records) -> Evaluated:
        """Evaluates all in one plan. A row that cannot be evaluated (a cast that fails, a division by zero)
        is rejected alone. Raises ``ConfigError`` where no row is to blame: a column that does not exist,
        a type that an operator does not take."""
        batch = self._batch(records)
        try:
            plans = self._plans(batch.schema)
            frame = session().read_batches([batch]).select(*plans)
        except Exception as error:  # DataFusion raises nothing more particular
            return self._unplanned(records, batch, error)
        try:
            return Evaluated(columns_of(frame.collect(), batch.num_rows, frame.schema()))
        except BaseException as error:
            if not is_failure(error):
                raise
        try:
            frame.execution_plan()
        except Exception as error:  # no row was looked at: a regular expression that is none, say
            return self._unplanned(records, batch, error)
        columns, reasons = row_by_row(batch, plans, frame.schema())
        rejected = Rejected(pa.array(list(reasons), pa.int64()), list(reasons.values()), ERROR)
        return Evaluated(columns, [rejected] if reasons else [])

    def _batch(self, records: Records) -> pa.RecordBatch:
        """The columns that the expressions ask for, and one that is always there: it counts the rows."""
        value = records.columns()
        names = set(value.schema.names)
        arrays = {"": pa.nulls(len(records))}
        for name in self._wanted:
            if name in names:
                arrays[name] = value[name]
            elif name in _RECORD_COLUMNS:
                arrays[name] = _record_column(records, name)
            elif are_found(records.value.type):
                arrays[name] = pa.nulls(len(records))
            else:
                raise self._no_column(name, value.schema.names)
        return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))

    def _no_column(self, name: str, known: list[str]) -> ConfigError:
        meant = nearest(name, [*known, *_RECORD_COLUMNS])
        exact = [other for other in known if other.lower() == name.lower()]
        dotted = [other for other in known if other.startswith(f"{name}.")]
        hint = f"the columns are {', '.join(known)}"
        if dotted:
            hint = f'a name with a dot stands in double quotes: "{dotted[0]}"'
        elif exact or meant:
            hint = f"did you mean {exact[0] if exact else meant}? {hint}"
        return ConfigError(f"{self._setting}: there is no column {name}", hint=hint, setting=self._setting)

    def _plans(self, schema: pa.Schema) -> list[Any]:
        """The expressions bound to a schema; batches of a stream mostly have the last one's."""
        planned = self._planned
        if planned is not None and planned[0].equals(schema):
            return planned[1]
        table = session().read_batches([_empty(schema)])
        plans = [table.parse_sql_expr(one.sql).alias(str(number)) for number, one in enumerate(self._checked)]
        self._planned = (schema, plans)
        return plans

    def _unplanned(self, records: Records, batch: pa.RecordBatch, error: Exception) -> Evaluated:
        """Where columns are found in the rows, their types are the rows' doing; else the pipeline's."""
        why = f"{self._setting}: {reason(error)}"
        if not are_found(records.value.type):
            types = ", ".join(f"{field.name} {field.type}" for field in batch.schema if field.name)
            raise ConfigError(why, hint=f"the columns are {types}" if types else None, setting=self._setting) from None
        rows = pa.array(np.arange(len(records)))
        return Evaluated([pa.nulls(len(records))] * len(self._checked), [Rejected(rows, [why] * len(records), ERROR)])


class Expression:
    """One expression; thread-safe. See ``Expressions``."""

    def __init__(self, sql: str, setting: str = "key") -> None:
        self._setting = setting
        self._one = Expressions([sql], setting)

    def rows(self, records: Records) -> Evaluated:
        """The value of each row, and the rows that have none because it cannot be evaluated for them."""
        return self._one.evaluate(records)

    def evaluate(self, records: Records) -> pa.Array:
        """The value of each row. Raises ``RecordRefused`` if it cannot be evaluated for one of them."""
        found = self.rows(records)
        for rejected in found.rejected:
            row, why = rejected.rows[0].as_py(), rejected.reasons[0]
            raise RecordRefused(f"{self._setting}: row {row} of a batch: {why}", setting=self._setting, row=row)
        return found.column


def _record_column(records: Records, name: str) -> pa.Array:
    count = len(records)
    if name == "timestamp":
        return pa.nulls(count, TIMESTAMP) if records.timestamp is None else records.timestamp
    if name == "offset":
        return pa.nulls(count, pa.int64()) if records.offsets is None else records.offsets
    if name == "topic":
        return pa.repeat(pa.scalar(records.topic), count)
    return pa.repeat(pa.scalar(records.partition, pa.int32()), count)


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)
