"""Formats whose rows are bytes with an end of their own: written by joining them, no step per row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.sinks.files.compressed import Output

ROW = "row"
"""The one column of prepared rows."""
_PIECE_BYTES = 1 << 30


class JoinedRows:
    """The encoder of such a file; see ``Encoder``."""

    def __init__(self, output: Output, end: bytes) -> None:
        self._output = output
        self._end = end

    def write(self, rows: pa.Table) -> None:
        for texts in pieces(rows.column(ROW)):
            self._output.write(joined(texts, self._end))
            self._output.write(self._end)

    def finish(self, about: Mapping[str, Any]) -> None:
        self._output.finish()

    def abandon(self) -> None:
        return


def pieces(rows: pa.ChunkedArray) -> Iterator[pa.Array]:
    """Runs of values so small that 32 bits address them."""
    for chunk in rows.chunks:
        yield from _halved(chunk)


def joined(texts: pa.Array, between: bytes) -> pa.Buffer:
    """All values, none of which is null, end to end."""
    kind = pa.string() if pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type) else pa.binary()
    whole = pa.LargeListArray.from_arrays(pa.array([0, len(texts)], pa.int64()), texts.cast(kind))
    _, offsets, data = pc.binary_join(whole, pa.scalar(between, pa.binary()).cast(kind)).buffers()
    # The one value is the whole buffer: taken as a scalar it would be copied.
    return data.slice(0, int(np.frombuffer(offsets, np.int32)[1]))


def _halved(chunk: pa.Array) -> Iterator[pa.Array]:
    if chunk.nbytes <= _PIECE_BYTES or len(chunk) == 1:
        if len(chunk):
            yield chunk
        return
    half = len(chunk) // 2
    yield from _halved(chunk.slice(0, half))
    yield from _halved(chunk.slice(half))
