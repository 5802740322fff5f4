"""The access logs of Apache and nginx: ``combined`` and ``common``. Column rules: docs/formats/parsed-lines.md."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.connectors import TIMESTAMP, Records, State, Transformed
from ingest.transforms.parsers.access_log_twin import access_lines as twin
from ingest.transforms.parsers.access_log_twin import explain
from ingest.transforms.parsers.parser import Parser, parsed
from ingest.transforms.refusals import Refusals

try:
    from ingest.transforms._parse import access_lines as compiled
except ImportError:  # no compiler was there when Ingest was installed
    compiled = None

access_lines: Any = twin if compiled is None or os.environ.get("INGEST_PURE") == "1" else compiled

SCHEMA = pa.schema(
    [
        pa.field("host", pa.string()),
        pa.field("ident", pa.string()),
        pa.field("user", pa.string()),
        pa.field("time", TIMESTAMP),
        pa.field("method", pa.string()),
        pa.field("path", pa.string()),
        pa.field("protocol", pa.string()),
        pa.field("status", pa.int32()),
        pa.field("bytes", pa.int64()),
        pa.field("referer", pa.string()),
        pa.field("user_agent", pa.string()),
        pa.field("rest", pa.string()),
    ]
)
_TEXTS = ("host", "ident", "user", "method", "path", "protocol", "referer", "user_agent", "rest")


class AccessLog(Parser):
    """``combined`` wants referer and user agent after the bytes; ``common`` leaves both columns null."""

    def __init__(self, *, combined: bool) -> None:
        self._combined = combined
        self._name = "combined" if combined else "common"

    def parse(self, records: Records, lines: pa.StringArray, state: State) -> Transformed:
        columns, good = access_columns(lines, self._combined)
        refusals = Refusals()
        if not good.all():
            bad = np.flatnonzero(~good)
            texts = lines.take(pa.array(bad)).cast(pa.binary()).to_pylist()
            refusals.add(bad, [f"{self._name}: {explain(text or b'', self._combined)}" for text in texts])
        return parsed(records, columns, refusals, timestamp=columns["time"])


def access_columns(lines: pa.StringArray, combined: bool) -> tuple[pa.RecordBatch, np.ndarray]:
    """A row per line, and which lines are in the format; the others' rows are null."""
    offsets, data = _buffers(lines)
    good, times, statuses, has_status, sizes, has_size, texts = access_lines(offsets, data, combined)
    found = {name: _string(*parts) for name, parts in zip(_TEXTS, texts, strict=True)}
    found["time"] = _fixed(times, good, TIMESTAMP)
    found["status"] = _fixed(statuses, has_status, pa.int32())
    found["bytes"] = _fixed(sizes, has_size, pa.int64())
    return pa.RecordBatch.from_arrays([found[name] for name in SCHEMA.names], schema=SCHEMA), good.astype(bool)


def _buffers(lines: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """The offsets of the lines, and the bytes that they point into; nothing is copied."""
    _, offsets, data = lines.buffers()
    if offsets is None:
        return np.zeros(1, np.int32), np.zeros(0, np.uint8)
    whole = np.frombuffer(offsets, np.int32)[lines.offset : lines.offset + len(lines) + 1]
    return whole, np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)


def _string(offsets: np.ndarray, content: np.ndarray, present: np.ndarray) -> pa.Array:
    buffers = [_bitmap(present), pa.py_buffer(offsets), pa.py_buffer(content)]
    return pa.Array.from_buffers(pa.string(), len(present), buffers)


def _fixed(values: np.ndarray, present: np.ndarray, kind: pa.DataType) -> pa.Array:
    return pa.Array.from_buffers(kind, len(values), [_bitmap(present), pa.py_buffer(values)])


def _bitmap(present: np.ndarray) -> pa.Buffer | None:
    return None if present.all() else pa.py_buffer(np.packbits(present, bitorder="little"))
