"""The values of expressions, and where they fail for some rows only: which."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingest.transforms.sql_check import reason, session

_BLOCK = 256
_NUMBERS = itertools.count()


def columns_of(batches: Sequence[pa.RecordBatch], rows: int, schema: pa.Schema) -> list[pa.Array]:
    """The columns of a result that must have ``rows`` rows."""
    found = []
    for number, field in enumerate(schema):
        pieces = [batch.column(number) for batch in batches]
        column = pa.nulls(0, field.type) if not pieces else pa.concat_arrays(pieces)
        if len(column) != rows:
            raise RuntimeError(f"{len(column)} values for {rows} rows")
        found.append(_plain(column))
    return found


def is_failure(error: BaseException) -> bool:
    """Whether DataFusion failed: by an ``Exception``, or by a panic, which is none (``lpad`` to 2 GB)."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def row_by_row(batch: pa.RecordBatch, plans: list[Any], schema: pa.Schema) -> tuple[list[pa.Array], dict[int, str]]:
    """Finds the rows that fail: blocks first, then the rows of the blocks that hold one.

    Returns the columns, null in those rows, and the reasons by row. Each part is a partition of one plan, with
    a stream of its own, so that a part that fails ends alone: 64 k rows that all fail take seconds, not minutes.
    """
    blocks = [batch.slice(start, _BLOCK) for start in range(0, batch.num_rows, _BLOCK)]
    nothing = [pa.nulls(1, column.type) for column in columns_of([], 0, schema)]
    done: list[list[pa.Array]] = []
    reasons: dict[int, str] = {}
    for number, found in enumerate(_parts(blocks, plans, schema)):
        if isinstance(found, list):
            done.append(found)
            continue
        rows = [blocks[number].slice(row, 1) for row in range(blocks[number].num_rows)]
        for row, each in enumerate(_parts(rows, plans, schema), number * _BLOCK):
            if isinstance(each, str):
                reasons[row] = each
            done.append(nothing if isinstance(each, str) else each)
    return [pa.concat_arrays([part[number] for part in done]) for number in range(len(plans))], reasons


def _parts(parts: list[pa.RecordBatch], plans: list[Any], schema: pa.Schema) -> list[list[pa.Array] | str]:
    """Of each part its columns, or why it failed."""
    name = f"parts-{next(_NUMBERS)}"
    table = session().create_dataframe([[part] for part in parts], name)
    try:
        streams = table.select(*plans).execute_stream_partitioned()
    finally:
        session().deregister_table(name)
    found: list[list[pa.Array] | str] = []
    for part, stream in zip(parts, streams, strict=True):
        try:
            found.append(columns_of([each.to_pyarrow() for each in stream], part.num_rows, schema))
        except BaseException as error:
            if not is_failure(error):
                raise
            found.append(reason(error))
    return found


def _plain(column: pa.Array) -> pa.Array:
    """Views become what the rest of the engine reads."""
    if pa.types.is_string_view(column.type):
        return pc.cast(column, pa.string())
    if pa.types.is_binary_view(column.type):
        return pc.cast(column, pa.binary())
    return column
