"""Line feeds found, and line ends taken off: by the compiled kernel, else by its twin in numpy and Arrow.

``INGEST_PURE=1`` in the environment chooses the twin where both are there.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.sources.file.byte_arrays import laid_out, trimmed, without_end
from ingest.sources.file.fingerprint import Bytes
from ingest.sources.file.rules import Index


def _compiled() -> Any:
    if os.environ.get("INGEST_PURE"):
        return None
    try:
        import ingest.sources.file._line_ends as compiled
    except ImportError:
        return None
    return compiled


kernel = _compiled()


def find_byte(data: Bytes, wanted: int) -> Index:
    """The positions of ``wanted`` in ``data``."""
    found: Index = np.flatnonzero(data == wanted) if kernel is None else kernel.find_byte(data, wanted)
    return found


def ended_lines(text: pa.Buffer, stops: Index) -> pa.Array:
    """The lines of ``text``, which end at ``stops``, as binary values without their ends: a line feed, and one carriage
    return before it. A last line that has no line feed stays as it is."""
    if kernel is None:
        return _ended_lines(text, stops)
    offsets = np.empty(len(stops) + 1, np.int32)
    target = pa.allocate_buffer(int(stops[-1]))  # of Arrow's pool: no page faults once it is warm
    used = kernel.without_ends(np.frombuffer(text, np.uint8), stops, offsets, np.frombuffer(target, np.uint8))
    return pa.Array.from_buffers(pa.binary(), len(stops), [None, pa.py_buffer(offsets), target.slice(0, used)])


def _ended_lines(text: pa.Buffer, stops: Index) -> pa.Array:
    value = laid_out(text, stops)
    if memoryview(text)[int(stops[-1]) - 1] != ord("\n"):
        ended = pa.array([value[-1].as_py()], pa.binary())
        return pa.concat_arrays([_chomped(value[:-1]), ended]) if len(value) > 1 else ended
    return _chomped(value)


def _chomped(value: pa.Array) -> pa.Array:
    """Of values that all end in a line feed, and may hold others."""
    value = without_end(value, b"\n")
    ends_in_cr = pc.ends_with(value, b"\r")
    if not pc.any(ends_in_cr).as_py():
        return value
    if not pc.any(pc.ends_with(value, b"\r\r")).as_py():
        return trimmed(value, "\r")
    return pc.if_else(ends_in_cr, pc.binary_slice(value, 0, -1), value)
