"""Rows as the literals of an INSERT, made in columns."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as t

from ingest.sinks.sql.database import RowsRefused
from ingest.sinks.sql.hexadecimal import hexadecimal

_NULL = pa.scalar(b"NULL", pa.large_binary())


def value_lists(rows: pa.RecordBatch, wanted_bytes: int, most_bytes: int) -> Iterator[memoryview]:
    """``(1,'a'),(2,NULL)``: as many rows at a time as ``wanted_bytes`` hold, and one at least. Raises ``RowsRefused``
    for a value that has no literal, and for a row of more than ``most_bytes``."""
    columns = [_literals(column) for column in rows.columns]
    inside = pc.binary_join_element_wise(*columns, _bytes(b","))
    texts = pc.binary_join_element_wise(_bytes(b"("), inside, _bytes(b"),"), _bytes(b""))
    offsets = np.frombuffer(texts.buffers()[1], np.int64, len(texts) + 1, texts.offset * 8)
    content = memoryview(texts.buffers()[2])
    first = 0
    while first < len(texts):
        end = int(np.searchsorted(offsets, offsets[first] + wanted_bytes, side="right")) - 1
        end = max(end, first + 1)
        size = offsets[end] - offsets[first]
        if size > most_bytes:
            raise RowsRefused("TooLarge", f"a row of {size} bytes is more than the server takes (max_allowed_packet)")
        yield content[offsets[first] : offsets[end] - 1]
        first = end


def _literals(column: pa.Array) -> pa.Array:
    return pc.coalesce(_present(column).cast(pa.large_binary()), _NULL)


def _present(column: pa.Array) -> pa.Array:
    """Each value as it stands in a statement; null where it is null."""
    kind = column.type
    if t.is_boolean(kind):
        return column.cast(pa.int8()).cast(pa.large_string())
    if t.is_integer(kind):
        return column.cast(pa.large_string())
    if t.is_floating(kind):
        return _float(column)
    if t.is_binary(kind) or t.is_large_binary(kind) or t.is_fixed_size_binary(kind):
        return _surrounded("x'", hexadecimal(column), "'")
    if t.is_timestamp(kind):
        column = column.cast(pa.timestamp(kind.unit))
    return _quoted(column.cast(pa.large_string()))


def _float(column: pa.Array) -> pa.Array:
    """With an exponent, which makes it a double: without, it would be a decimal, and minus zero be zero."""
    if not pc.all(pc.is_finite(column)).as_py() and column.null_count < len(column):
        raise RowsRefused("NotWritable", "MariaDB and MySQL have no NaN and no infinity")
    text = column.cast(pa.large_string())
    return pc.if_else(pc.match_substring(text, "e"), text, _surrounded("", text, "e0"))


def _quoted(text: pa.Array) -> pa.Array:
    if pc.any(pc.match_substring_regex(text, r"['\\]")).as_py():
        text = pc.replace_substring(pc.replace_substring(text, "\\", "\\\\"), "'", "''")
    return _surrounded("'", text, "'")


def _surrounded(before: str, text: pa.Array, after: str) -> pa.Array:
    kind = pa.large_string()
    return pc.binary_join_element_wise(pa.scalar(before, kind), text, pa.scalar(after, kind), pa.scalar("", kind))


def _bytes(content: bytes) -> pa.Scalar:
    return pa.scalar(content, pa.large_binary())
