"""The access logs of Apache and nginx: ``combined`` and ``common``. Column rules: docs/formats/parsed-lines.md."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from ingest.connectors import TIMESTAMP, Records, State, Transformed
from ingest.transforms.parsers.access_log_twin import access_lines as twin
from ingest.transforms.parsers.access_log_twin import explain
from ingest.transforms.parsers.kernels import access_lines as compiled
from ingest.transforms.parsers.kernels import bitmap, buffers_of, texts_of
from ingest.transforms.parsers.parser import Parser, parsed
from ingest.transforms.refusals import Refusals

access_lines: Any = compiled or twin

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
    offsets, data = buffers_of(lines)
    good, times, statuses, has_status, sizes, has_size, texts = access_lines(offsets, data, combined)
    found = {name: texts_of(*parts) for name, parts in zip(_TEXTS, texts, strict=True)}
    found["time"] = _fixed(times, good, TIMESTAMP)
    found["status"] = _fixed(statuses, has_status, pa.int32())
    found["bytes"] = _fixed(sizes, has_size, pa.int64())
    return pa.RecordBatch.from_arrays([found[name] for name in SCHEMA.names], schema=SCHEMA), good.astype(bool)


def _fixed(values: np.ndarray, present: np.ndarray, kind: pa.DataType) -> pa.Array:
    return pa.Array.from_buffers(kind, len(values), [bitmap(present), pa.py_buffer(values)])
