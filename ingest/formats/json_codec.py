"""Struct columns <-> JSON values: the compiled kernels where they are built, the twin where they are not.

What a kernel refuses the twin looks at again: it knows the reason, or takes the value after all (a timestamp
with escapes in it, say). ``INGEST_PURE=1`` forces the twin.
"""

from __future__ import annotations

import os
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.formats import json_twin
from ingest.formats.json_arrays import BYTES, DECIMAL, TEXT, Columns, ColumnSpec, NotCompiled, specs_of
from ingest.formats.json_columns import ColumnTree

try:
    if os.environ.get("INGEST_PURE"):
        raise ImportError("the twin was asked for")
    from ingest.formats._json_reader import Tree as ReadTree
    from ingest.formats._json_reader import read_rows
    from ingest.formats._json_writer import Tree as WriteTree
    from ingest.formats._json_writer import mark_simple, write_rows

    COMPILED = True
except ImportError:
    COMPILED = False

_MAX_OFFSET = 2**31 - 1
_PIECE_BYTES = 1 << 30
_NO_BYTES = np.empty(0, dtype=np.uint8)


def encode(value: pa.StructArray) -> tuple[pa.Array, dict[int, str]]:
    """See ``json_twin.encode``."""
    if not COMPILED or not len(value):
        return json_twin.encode(value)
    try:
        tree = ColumnTree(value, mark_simple)
    except pa.ArrowInvalid:
        # A cast that some value does not survive (a date64 within a day): the twin finds which.
        return json_twin.encode(value)
    offsets, states = np.zeros(len(value) + 1, dtype=np.int64), np.empty(len(value), dtype=np.uint8)
    text = _written(tree, value.nbytes, offsets, states)
    texts = _binary(text, offsets, states == 0)
    refused = np.flatnonzero(states == 2)
    if not len(refused):
        return texts, {}
    again, reasons = json_twin.encode(value.take(pa.array(refused)))
    return _merged(texts, again, refused, reasons)


def decode(values: pa.Array, kind: pa.StructType) -> tuple[pa.StructArray, dict[int, str]]:
    """See ``json_twin.decode``; ``values`` must be binary (or large)."""
    if not COMPILED or not len(values):
        return json_twin.decode(values, kind)
    try:
        specs = specs_of(kind)
    except NotCompiled:
        return json_twin.decode(values, kind)
    pieces = [_read(piece, kind, specs) for piece in _pieces(values)]
    if len(pieces) == 1:
        return pieces[0]
    reasons: dict[int, str] = {}
    start = 0
    for column, found in pieces:
        reasons.update({start + row: reason for row, reason in found.items()})
        start += len(column)
    return pa.concat_arrays([column for column, _ in pieces]), reasons


def misfits(values: pa.Array, kind: pa.StructType) -> np.ndarray:
    """The rows that ``decode`` may refuse: those that the twin would still take are among them."""
    if COMPILED and len(values):
        try:
            specs = specs_of(kind)
        except NotCompiled:
            pass
        else:
            states = [_parse(piece, specs)[1] for piece in _pieces(values)]
            return np.flatnonzero(np.concatenate(states) == 2)
    return np.array(sorted(json_twin.decode(values, kind)[1]), dtype=np.int64)


def _pieces(values: pa.Array) -> list[pa.Array]:
    """Runs of values with so few bytes that offsets of 32 bits do."""
    offsets = _offsets(values)
    if offsets[-1] - offsets[0] <= _PIECE_BYTES:
        return [values]
    cuts = [0]
    while cuts[-1] < len(values):
        limit = offsets[cuts[-1]] + _PIECE_BYTES
        cuts.append(max(cuts[-1] + 1, int(np.searchsorted(offsets, limit, side="right")) - 1))
    return [values.slice(start, end - start) for start, end in pairwise(cuts)]


def _read(values: pa.Array, kind: pa.StructType, specs: list[ColumnSpec]) -> tuple[pa.StructArray, dict[int, str]]:
    tree, states = _parse(values, specs)
    columns = Columns(tree, specs)
    column = columns.array(0, kind)
    states[list(columns.refused)] = 2
    refused = np.flatnonzero(states == 2)
    if not len(refused):
        return column, {}
    again, reasons = json_twin.decode(values.take(pa.array(refused)), kind)
    return _merged(column, again, refused, reasons, late=bool(columns.refused))


def _parse(values: pa.Array, specs: list[ColumnSpec]) -> tuple[Any, np.ndarray]:
    """Runs the kernel: its columns, and the state of each row."""
    offsets = _offsets(values)
    text_bytes = int(offsets[-1] - offsets[0])
    texts = sum(spec.kind in (TEXT, BYTES, DECIMAL) for spec in specs)
    tree = ReadTree(specs, len(values), text_bytes // max(1, texts), _allocate)
    nulls = values.is_null().to_numpy(zero_copy_only=False).view(np.uint8) if values.null_count else _NO_BYTES
    scratch = np.empty(int(np.diff(offsets).max()) + 16, dtype=np.uint8)
    states = np.empty(len(values), dtype=np.uint8)
    data = values.buffers()[2]
    read_rows(tree, data.address if data is not None else 0, offsets, nulls, scratch, states)
    return tree, states


def _offsets(values: pa.Array) -> np.ndarray:
    """Where each value begins and ends in the data, as 64 bits."""
    width = np.int64 if pa.types.is_large_binary(values.type) else np.int32
    found = np.frombuffer(values.buffers()[1], width)[values.offset : values.offset + len(values) + 1]
    return found if width is np.int64 else found.astype(np.int64)


def _allocate(size: int) -> pa.Buffer:
    return pa.allocate_buffer(size, resizable=True)


def _written(tree: ColumnTree, value_bytes: int, offsets: np.ndarray, states: np.ndarray) -> pa.Buffer:
    """Runs the kernel; its memory comes from Arrow's pool, which keeps it mapped from batch to batch."""
    columns = WriteTree(tree.specs, tree.owners)
    size = value_bytes * 5 // 4 + len(states) * sum(len(spec.label) + 4 for spec in tree.specs) + 256
    memory = pa.allocate_buffer(size, resizable=True)
    row = 0
    while True:
        row = write_rows(columns, row, np.frombuffer(memory, dtype=np.uint8), offsets, states)
        if row == len(states):
            memory.resize(int(offsets[-1]), shrink_to_fit=False)
            return memory
        memory.resize(memory.size * 2)


def _binary(text: pa.Buffer, offsets: np.ndarray, valid: np.ndarray) -> pa.Array:
    wide = offsets[-1] > _MAX_OFFSET
    positions = offsets if wide else offsets.astype(np.int32)
    bits = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    buffers = [bits, pa.py_buffer(positions), text]
    return pa.Array.from_buffers(pa.large_binary() if wide else pa.binary(), len(valid), buffers)


def _merged(
    column: pa.Array, again: pa.Array, refused: np.ndarray, reasons: dict[int, str], late: bool = False
) -> tuple[pa.Array, dict[int, str]]:
    """``column`` with the rows ``refused`` replaced by ``again``, and the reasons by row of ``column``.

    Unless some were refused late, what the twin refuses too is null in ``column`` already."""
    if late or len(reasons) < len(refused):
        order = np.arange(len(column))
        order[refused] = len(column) + np.arange(len(refused))
        column = pa.concat_arrays([column, again.cast(column.type)]).take(pa.array(order))
    return column, {int(refused[row]): reason for row, reason in reasons.items()}
