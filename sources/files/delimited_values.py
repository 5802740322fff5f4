"""Fields of delimited text as the values that they mean: null, without what encloses them, without escapes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.sources.files.whole_records import escapes

_MEANT = {ord("n"): ord("\n"), ord("r"): ord("\r")}
"""Behind an escape; every other character means itself."""


def values(fields: pa.Array, nulls: Sequence[str], quote: bytes | None, escape: bytes | None) -> pa.Array:
    """``fields`` (binary, none null) are as they stand in the file. An enclosed field is never null."""
    is_null = pc.is_in(fields, value_set=pa.array([word.encode() for word in nulls], pa.binary()))
    if quote is not None:
        fields = _bare(fields, quote, escape)
    if escape is not None:
        fields = _unescaped(fields, escape)
    return pc.if_else(is_null, None, fields) if is_null.true_count else fields


def _bare(fields: pa.Array, quote: bytes, escape: bytes | None) -> pa.Array:
    enclosed = pc.and_(pc.starts_with(fields, quote), pc.ends_with(fields, quote))
    enclosed = pc.and_(enclosed, pc.greater_equal(pc.binary_length(fields), 2))
    if not enclosed.true_count:
        return fields
    inside = pc.binary_slice(fields, 1, -1)
    if escape is None:  # then an enclosing character inside is written twice
        inside = pc.replace_substring(inside, quote * 2, quote)
    return pc.if_else(enclosed, inside, fields)


def _unescaped(fields: pa.Array, escape: bytes) -> pa.Array:
    """In one pass over the bytes of the column: the escapes go, and what is behind each becomes what it means."""
    fields = pa.concat_arrays([fields])
    _, offsets, data = fields.buffers()
    ends = np.frombuffer(offsets, np.int32)[fields.offset : fields.offset + len(fields) + 1].astype(np.int64)
    content = np.frombuffer(data or b"", np.uint8)[ends[0] : ends[-1]].copy()
    ends -= ends[0]
    gone = escapes(content, escape, ends)
    # one at the end of its field has nothing to escape: it is the last byte of a file that was cut
    gone = gone[gone + 1 < ends[np.searchsorted(ends, gone, side="right")]]
    if not len(gone):
        return fields
    for letter, meant in _MEANT.items():
        content[gone[content[gone + 1] == letter] + 1] = meant
    kept = np.ones(len(content), bool)
    kept[gone] = False
    shorter = (ends - np.searchsorted(gone, ends)).astype(np.int32)
    buffers = [None, pa.py_buffer(shorter), pa.py_buffer(content[kept])]
    return pa.Array.from_buffers(pa.binary(), len(fields), buffers)
