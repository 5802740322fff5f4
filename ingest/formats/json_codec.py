"""Struct columns <-> JSON values: the compiled kernels where they are built, the twin where they are not.

What a kernel refuses the twin looks at again: it knows the reason, or takes the value after all (a timestamp
with escapes in it, say). ``INGEST_PURE=1`` forces the twin.
"""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa

from ingest.formats import json_twin
from ingest.formats.json_columns import ColumnTree

try:
    if os.environ.get("INGEST_PURE"):
        raise ImportError("the twin was asked for")
    from ingest.formats import _json_writer

    COMPILED = True
except ImportError:
    COMPILED = False

_MAX_OFFSET = 2**31 - 1


def encode(value: pa.StructArray) -> tuple[pa.Array, dict[int, str]]:
    """See ``json_twin.encode``."""
    if not COMPILED or not len(value):
        return json_twin.encode(value)
    try:
        tree = ColumnTree(value, _json_writer.mark_simple)
    except pa.ArrowInvalid:
        # A cast that some value does not survive (a date64 within a day): the twin finds which.
        return json_twin.encode(value)
    rows = len(value)
    offsets, states = np.empty(rows + 1, dtype=np.int64), np.empty(rows, dtype=np.uint8)
    guess = value.nbytes * 5 // 4 + rows * sum(len(spec.label) + 4 for spec in tree.specs)
    block = _json_writer.write_rows(_json_writer.Tree(tree.specs, tree.owners), rows, guess, offsets, states)
    texts = _binary(block, offsets, states == 0)
    refused = np.flatnonzero(states == 2)
    if not len(refused):
        return texts, {}
    again, reasons = json_twin.encode(value.take(pa.array(refused)))
    return _merged(texts, again, refused, reasons)


def decode(values: pa.Array, kind: pa.StructType) -> tuple[pa.StructArray, dict[int, str]]:
    """See ``json_twin.decode``."""
    return json_twin.decode(values, kind)


def _binary(block: object, offsets: np.ndarray, valid: np.ndarray) -> pa.Array:
    wide = offsets[-1] > _MAX_OFFSET
    positions = offsets if wide else offsets.astype(np.int32)
    bits = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    buffers = [bits, pa.py_buffer(positions), pa.py_buffer(block)]
    return pa.Array.from_buffers(pa.large_binary() if wide else pa.binary(), len(valid), buffers)


def _merged(
    column: pa.Array, again: pa.Array, refused: np.ndarray, reasons: dict[int, str]
) -> tuple[pa.Array, dict[int, str]]:
    """``column`` with the rows ``refused`` replaced by ``again``, and the reasons by row of ``column``."""
    if len(reasons) < len(refused):
        order = np.arange(len(column))
        order[refused] = len(column) + np.arange(len(refused))
        column = pa.concat_arrays([column, again.cast(column.type)]).take(pa.array(order))
    return column, {int(refused[row]): reason for row, reason in reasons.items()}
